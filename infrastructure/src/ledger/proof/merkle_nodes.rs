//! Nodes of the tree over a ledger's entries that are kept, so that a path does not take reading all of history.
//!
//! They follow from the hashes of the entries and may be thrown away at any time. Nothing is believed because it is kept:
//! a root is computed [from the entries](of_entries), and a path is held against the root it has to lead to.

use futures_util::TryStreamExt;
use onhand_domain::values::TenantId;
use sqlx::{PgConnection, Row};

use super::{
    super::LedgerError,
    along_keys,
    merkle::{Hash, LEVEL_HEIGHT, LEVELS, Node, Tree, leaf},
};

/// Nodes of one level that make one of the next.
const WIDTH: i64 = 1 << LEVEL_HEIGHT;
/// Entries read at a time.
const STRETCH: i64 = 1 << 16;

/// The tree over the first `size` entries, [from the entries](of_entries). Of the nodes that are worth keeping, those that are
/// missing are kept on the way.
pub(super) async fn tree(conn: &mut PgConnection, tenant: TenantId, size: i64) -> Result<Tree, LedgerError> {
    let mut tree = Tree::default();
    while tree.size() < size {
        grow(conn, tenant, &mut tree, size).await?;
        keep(conn, tenant, &tree.take_completed()).await?;
    }
    Ok(tree)
}

/// The tree over the first `size` entries, from the hashes that stand in them and from nothing that is kept. What it has
/// completed can be asked of it.
pub(super) async fn of_entries(
    conn: &mut PgConnection,
    tenant: TenantId,
    size: i64,
) -> Result<Tree, LedgerError> {
    let mut tree = Tree::default();
    while tree.size() < size {
        grow(conn, tenant, &mut tree, size).await?;
    }
    Ok(tree)
}

/// Adds the next entries to a tree, a stretch at most, until there are `size` of them.
async fn grow(
    conn: &mut PgConnection,
    tenant: TenantId,
    tree: &mut Tree,
    size: i64,
) -> Result<(), LedgerError> {
    let (from, to) = (tree.size(), size.min(tree.size() + STRETCH));
    for leaf in hashes(conn, tenant, 0, (from, to)).await? {
        tree.push(0, leaf);
    }
    if tree.size() < to { Err(missing(tree.size() + 1)) } else { Ok(()) }
}

fn missing(position: i64) -> LedgerError {
    LedgerError::Unreadable { position, why: "the entry is missing".to_owned() }
}

/// The path of one leaf, by its number from 0, in the tree over the first `size` entries. None if a node is not kept that it
/// takes.
///
/// The tree is put together from the highest nodes there are: at the right edge from lower ones, and around the leaf from
/// all that its path needs.
pub(super) async fn path(
    conn: &mut PgConnection,
    tenant: TenantId,
    size: i64,
    leaf: i64,
) -> Result<Option<Vec<Hash>>, LedgerError> {
    let mut found: Vec<(i64, u32, Hash)> = Vec::new();
    for level in (0..=LEVELS).rev() {
        let height = level * LEVEL_HEIGHT;
        let end = size >> height;
        let edge = if level == LEVELS { 0 } else { end / WIDTH * WIDTH };
        let opened = (leaf >> height) / WIDTH * WIDTH;
        let around = (opened < edge).then_some((opened, opened + WIDTH));
        for (from, to) in around.into_iter().chain([(edge, end)]) {
            let hashes = hashes(conn, tenant, level, (from, to)).await?;
            let reached = from + hashes.len() as i64;
            if reached < to {
                return if level == 0 { Err(missing(reached + 1)) } else { Ok(None) };
            }
            // What the leaf lies below is taken apart on the level below.
            let kept = (from..).zip(hashes).filter(|(index, _)| level == 0 || leaf >> height != *index);
            found.extend(kept.map(|(index, hash)| (index << height, height, hash)));
        }
    }
    found.sort_unstable_by_key(|(first, ..)| *first);
    let mut tree = Tree::watching(leaf);
    for (_, height, hash) in found {
        tree.push(height, hash);
    }
    Ok(Some(tree.into_path().1))
}

/// Nodes of one level, or leaves, from one number up to before another, as far as none is missing.
async fn hashes(
    conn: &mut PgConnection,
    tenant: TenantId,
    level: u32,
    (from, to): (i64, i64),
) -> Result<Vec<Hash>, LedgerError> {
    let mut found = Vec::new();
    if from == to {
        return Ok(found);
    }
    let sql = if level == 0 {
        // Leaf 0 is the entry at position 1.
        "select position - 1, hash from events
         where tenant_id = $1 and position > $2 and position <= $3 and $4::smallint = 0 order by position"
    } else {
        "select index, hash from merkle_nodes
         where tenant_id = $1 and index >= $2 and index < $3 and level = $4 order by index"
    };
    let mut tx = along_keys(conn).await?;
    let mut rows = sqlx::query(sql).bind(tenant.0).bind(from).bind(to).bind(level as i16).fetch(&mut *tx);
    while let Some(row) = rows.try_next().await? {
        let (number, hash): (i64, &[u8]) = (row.try_get(0)?, row.try_get(1)?);
        if number != from + found.len() as i64 {
            break;
        }
        found.push(if level == 0 {
            leaf(hash)
        } else {
            // Of another length it is no hash, and leads to another root.
            hash.try_into().unwrap_or_default()
        });
    }
    drop(rows);
    tx.commit().await?;
    Ok(found)
}

/// Keeps nodes. What is kept already stays as it is, also where it differs: that is for a verification to tell.
async fn keep(conn: &mut PgConnection, tenant: TenantId, nodes: &[Node]) -> Result<(), sqlx::Error> {
    if nodes.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into merkle_nodes (tenant_id, level, index, hash)
         select $1, n.level, n.index, n.hash from unnest($2::smallint[], $3::bigint[], $4::bytea[]) as n (level, index, hash)
         on conflict (tenant_id, level, index) do nothing -- from before, or another process was quicker",
    )
    .bind(tenant.0)
    .bind(nodes.iter().map(level_of).collect::<Vec<_>>())
    .bind(nodes.iter().map(|node| node.index).collect::<Vec<_>>())
    .bind(nodes.iter().map(|node| node.hash.as_slice()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// The first of these nodes, as the position of the first entry below it, that is kept otherwise than it is.
pub(super) async fn first_differing(
    conn: &mut PgConnection,
    tenant: TenantId,
    nodes: &[Node],
) -> Result<Option<i64>, sqlx::Error> {
    if nodes.is_empty() {
        return Ok(None);
    }
    let (first,): (Option<i64>,) = sqlx::query_as(
        "select min(k.index << (8 * k.level)) + 1
         from unnest($2::smallint[], $3::bigint[], $4::bytea[]) as n (level, index, hash)
         join merkle_nodes k on k.tenant_id = $1 and k.level = n.level and k.index = n.index
         where k.hash <> n.hash",
    )
    .bind(tenant.0)
    .bind(nodes.iter().map(level_of).collect::<Vec<_>>())
    .bind(nodes.iter().map(|node| node.index).collect::<Vec<_>>())
    .bind(nodes.iter().map(|node| node.hash.as_slice()).collect::<Vec<_>>())
    .fetch_one(conn)
    .await?;
    Ok(first)
}

/// The first position of a kept node over entries that are not there, because it reaches beyond the head.
pub(super) async fn first_beyond(
    conn: &mut PgConnection,
    tenant: TenantId,
) -> Result<Option<i64>, sqlx::Error> {
    let (first,): (Option<i64>,) = sqlx::query_as(
        "select min(index << (8 * level)) + 1 from merkle_nodes
         where tenant_id = $1 and index >= (select position from ledger_heads where tenant_id = $1) >> (8 * level)",
    )
    .bind(tenant.0)
    .fetch_one(conn)
    .await?;
    Ok(first)
}

fn level_of(node: &Node) -> i16 {
    (node.height / LEVEL_HEIGHT) as i16
}

//! What was let out on a connection: all that may be owed there for it, looked for a page at a time.
//!
//! A connection that is switched on, or whose rules change, may have a hundred thousand listings, and a commit holds the head of
//! the ledger. So it only notes that they are to be looked for, as follow-ups; what happens to each of them meanwhile is owed by
//! a commit of its own.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use onhand_domain::{
    connection::SyncRules,
    listing::FigureKind,
    values::{ConnectionId, ListingId, ProductId, TenantId},
};
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{
    Subject,
    follow_ups::{self, LET_OUT},
};
use crate::{ledger::FollowUp, platforms::outbound::Skills};

/// Commands that a page comes to at most. They are written under the head, and reservations wait for it.
const PAGE: i64 = 500;

/// What was let out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LetOut {
    /// Quantities and prices, which any rules may have made others.
    Figures,
    /// Products that are not there may be made.
    Offering,
    /// What is there may be described.
    Describing,
    /// What has left the catalogue may be taken off.
    TakingOff,
}

impl LetOut {
    /// All there is.
    pub(super) const ALL: [Self; 4] = [Self::Figures, Self::Offering, Self::Describing, Self::TakingOff];

    /// As its follow-up is called.
    fn name(self) -> &'static str {
        match self {
            Self::Figures => "figures",
            Self::Offering => "offering",
            Self::Describing => "describing",
            Self::TakingOff => "taking_off",
        }
    }

    /// What a follow-up is about.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// What rules let out that those before them did not: for all, or for some.
    pub(super) fn by(before: &SyncRules, rules: &SyncRules) -> Vec<Self> {
        let newly = newly(before, rules);
        let is_let_out = |it: &Self| match it {
            Self::Figures => true,
            Self::Offering => newly.offers,
            Self::Describing => newly.describes,
            Self::TakingOff => newly.takes_off,
        };
        Self::ALL.into_iter().filter(is_let_out).collect()
    }

    /// The ids on a page: of listings for figures, else of products.
    fn walk(self) -> String {
        let listed = |owed: &str| {
            format!(
                "select t.product_id
                 from (
                     select distinct l.product_id from listings l -- listings_product_idx
                     where l.tenant_id = $1 and l.connection_id = $2 and l.product_id > $3 and not l.removed
                 ) l
                 join offer_targets t on t.tenant_id = $1 and t.connection_id = $2 and t.product_id = l.product_id
                 where t.{owed} order by t.product_id limit $4"
            )
        };
        match self {
            Self::Figures => "select t.listing_id from outbox_targets t
                 where t.tenant_id = $1 and t.connection_id = $2 and t.listing_id > $3
                 order by t.listing_id limit $4"
                .to_owned(),
            // The whole catalogue: what is not there is listed nowhere.
            Self::Offering => "select t.product_id from offer_targets t
                 where t.tenant_id = $1 and t.connection_id = $2 and t.product_id > $3 and t.is_lacking
                 order by t.product_id limit $4"
                .to_owned(),
            Self::Describing => listed("is_outdated"),
            Self::TakingOff => listed("is_left_over"),
        }
    }
}

/// What rules let be done with products that those before them did not: with all, or with some.
pub(crate) fn newly(before: &SyncRules, rules: &SyncRules) -> Skills {
    let (old, new) = (Skills::ALL.under(before), Skills::ALL.under(rules));
    let others = before.conditions != rules.conditions;
    let newly = |before: bool, now: bool| now && (others || !before);
    Skills {
        offers: newly(old.offers, new.offers),
        describes: newly(old.describes, new.describes),
        takes_off: newly(old.takes_off, new.takes_off),
    }
}

/// Notes in the caller's transaction what is to be looked for, as far as there is anything that it may be owed to. What is being
/// looked for already is begun anew.
pub(super) async fn note(
    conn: &mut PgConnection,
    tenant: TenantId,
    (position, now): (i64, DateTime<Utc>),
    (let_out, causes): (&BTreeSet<(Uuid, LetOut)>, &BTreeMap<Uuid, String>),
) -> Result<(), sqlx::Error> {
    if let_out.is_empty() {
        return Ok(());
    }
    let found: Vec<(Uuid, String)> = sqlx::query_as(
        "select c.id, w.name
         from unnest($2::uuid[], $3::text[]) as w (connection_id, name)
         join connections c on c.tenant_id = $1 and c.id = w.connection_id
         where c.enabled
           and case w.name when 'figures' then c.pushes_quantity or c.pushes_price
                           when 'offering' then c.offers_products
                           when 'describing' then c.describes_products
                           else c.takes_off_products end
           and (w.name = 'offering' or exists (
               select from listings l where l.tenant_id = $1 and l.connection_id = c.id)) -- listings_product_idx",
    )
    .bind(tenant.0)
    .bind(let_out.iter().map(|(connection, _)| *connection).collect::<Vec<_>>())
    .bind(let_out.iter().map(|(_, what)| what.name()).collect::<Vec<_>>())
    .fetch_all(&mut *conn)
    .await?;
    let follow_up = |(connection, name)| FollowUp {
        connection,
        kind: LET_OUT,
        external: name,
        payload: Some(json!({})), // Nothing has been walked yet.
        delivery: Uuid::nil(),
        correlation_id: causes.get(&connection).cloned().unwrap_or_default(),
        due: now,
    };
    let follow_ups: Vec<FollowUp> = found.into_iter().map(follow_up).collect();
    follow_ups::note(conn, tenant, position, &follow_ups).await
}

/// What may be owed, by id, after where the page before ended; and where this one does, unless it is the last.
pub(crate) async fn page(
    pool: &PgPool,
    (tenant, connection): (TenantId, ConnectionId),
    what: LetOut,
    after: Uuid,
) -> Result<(Vec<Subject>, Option<Uuid>), sqlx::Error> {
    const FIGURES: [FigureKind; 2] = [FigureKind::Quantity, FigureKind::Price];
    let limit = if what == LetOut::Figures { PAGE / FIGURES.len() as i64 } else { PAGE };
    let found: Vec<(Uuid,)> = sqlx::query_as(sqlx::AssertSqlSafe(what.walk()))
        .bind(tenant.0)
        .bind(connection.0)
        .bind(after)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    let end = found.last().filter(|_| found.len() as i64 == limit).map(|(id,)| *id);
    let subjects = found.into_iter().flat_map(|(id,)| match what {
        LetOut::Figures => FIGURES.map(|kind| Subject::Figure(ListingId(id), kind)).to_vec(),
        LetOut::Offering | LetOut::Describing | LetOut::TakingOff => {
            vec![Subject::Offer(connection, ProductId(id))]
        }
    });
    Ok((subjects.collect(), end))
}

#[cfg(test)]
mod tests {
    use onhand_domain::{connection::Conditions, values::Quantity};

    use super::*;

    #[test]
    fn of_other_rules_only_what_they_let_out_in_addition_is_looked_for() {
        let rules = SyncRules::default();
        let buffered = SyncRules { safety_buffer: Quantity::new(1).expect("a quantity"), ..rules.clone() };
        assert_eq!(LetOut::by(&rules, &buffered), [LetOut::Figures]);
        let creates = SyncRules { propagate_creates: true, ..rules.clone() };
        assert_eq!(LetOut::by(&rules, &creates), [LetOut::Figures, LetOut::Offering]);
        assert_eq!(LetOut::by(&creates, &rules), [LetOut::Figures]);
        let all = [LetOut::Figures, LetOut::Offering, LetOut::Describing];
        let off = SyncRules { realtime_sync_enabled: false, ..creates.clone() };
        assert_eq!(LetOut::by(&off, &creates), all);
        let conditions = Conditions { price_min: Some(1), ..Conditions::default() };
        let asking = SyncRules { conditions, ..creates.clone() };
        assert_eq!(LetOut::by(&creates, &asking), all);
    }
}

//! The tree over a ledger's entries, as RFC 9162 defines it in section 2.1: one hash stands for all of them, and a short
//! list of hashes proves that one of them is among them.

use sha2::{Digest, Sha256};

/// A hash of an entry, a leaf or a node.
pub(super) type Hash = [u8; 32];

/// From one level of nodes that are worth keeping to the next: 256 of one make one of the next.
pub(super) const LEVEL_HEIGHT: u32 = 8;
/// How many such levels there are above the leaves.
pub(super) const LEVELS: u32 = 3;

/// The leaf that stands for the hash of an entry.
pub(super) fn leaf(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0_u8]).chain_update(entry).finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1_u8]).chain_update(left).chain_update(right).finalize().into()
}

/// A node that has all of its leaves, two to the power of its height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) height: u32,
    /// Which one of that height, from 0.
    pub(super) index: i64,
    pub(super) hash: Hash,
}

/// A node that waits for one of its height to its right.
#[derive(Debug, Clone, Copy)]
struct Peak {
    height: u32,
    hash: Hash,
    /// Whether the watched leaf is below it.
    watched: bool,
}

/// A tree that grows to the right. However many leaves it has, it holds one hash a height.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    /// The leaf it begins with: it may be a part of a larger one.
    first: i64,
    size: i64,
    /// From left to right, and so in falling order of their heights.
    peaks: Vec<Peak>,
    watched: Option<i64>,
    /// What stands beside the watched leaf and the nodes above it, from below.
    path: Vec<Hash>,
    completed: Vec<Node>,
}

impl Tree {
    /// A part of a larger tree: the leaves from this one on. What it completes has its number in the larger one, which
    /// is right for nodes no higher than the power of two that divides `first`.
    pub(super) fn beginning_at(first: i64) -> Self {
        Self { first, ..Self::default() }
    }

    /// A tree that gathers the path of one leaf, by its number from 0. That leaf has to be put in as a leaf.
    pub(super) fn watching(leaf: i64) -> Self {
        Self { watched: Some(leaf), ..Self::default() }
    }

    /// How many leaves it has.
    pub(super) fn size(&self) -> i64 {
        self.size
    }

    /// Adds a node with all of its leaves, or a leaf, of height 0. It must come to lie where its height allows.
    pub(super) fn push(&mut self, height: u32, hash: Hash) {
        debug_assert!(self.size & ((1 << height) - 1) == 0, "a node lies at a multiple of its width");
        let watched = height == 0 && self.watched == Some(self.first + self.size);
        self.size += 1 << height;
        let mut peak = Peak { height, hash, watched };
        while let Some(left) = self.peaks.pop_if(|left| left.height == peak.height) {
            peak = joined(left, peak, &mut self.path);
            if peak.height.is_multiple_of(LEVEL_HEIGHT) && peak.height <= LEVELS * LEVEL_HEIGHT {
                let index = ((self.first + self.size) >> peak.height) - 1;
                self.completed.push(Node { height: peak.height, index, hash: peak.hash });
            }
        }
        self.peaks.push(peak);
    }

    /// Adds all of another one to the right.
    pub(super) fn append(&mut self, other: &Self) {
        for peak in &other.peaks {
            self.push(peak.height, peak.hash);
        }
    }

    /// The nodes of all levels that were completed since this was last asked.
    pub(super) fn take_completed(&mut self) -> Vec<Node> {
        std::mem::take(&mut self.completed)
    }

    /// The hash that stands for all leaves, in their order.
    pub(super) fn root(&self) -> Hash {
        self.clone().into_path().0
    }

    /// The root, and the path that leads there from the watched leaf.
    pub(super) fn into_path(mut self) -> (Hash, Vec<Hash>) {
        let Some(mut last) = self.peaks.pop() else { return (Sha256::digest(b"").into(), self.path) };
        while let Some(left) = self.peaks.pop() {
            last = joined(left, last, &mut self.path);
        }
        (last.hash, self.path)
    }
}

/// The node above two. If one of them has the watched leaf below it, the other one is the next step of the path.
fn joined(left: Peak, right: Peak, path: &mut Vec<Hash>) -> Peak {
    if left.watched || right.watched {
        path.push(if left.watched { right.hash } else { left.hash });
    }
    Peak {
        height: left.height + 1,
        hash: node(&left.hash, &right.hash),
        watched: left.watched || right.watched,
    }
}

/// The root to which a path leads from a leaf, by its number from 0, in a tree of so many leaves: section 2.1.3.2 of the
/// RFC. None if the path is too long or too short for that place.
pub(super) fn root_along(leaf: Hash, index: i64, size: i64, path: &[Hash]) -> Option<Hash> {
    if index < 0 || index >= size {
        return None;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, leaf);
    for beside in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            hash = node(beside, &hash);
            // At the right edge a node without one beside it is its own parent.
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node(&hash, beside);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaves(count: i64) -> Vec<Hash> {
        (0..count).map(|number| leaf(&number.to_be_bytes())).collect()
    }

    /// The definition, word for word: the left part is the largest power of two that is smaller than the whole.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest(b"").into(),
            [one] => *one,
            more => {
                let left = more.len().next_power_of_two() / 2;
                node(&defined(&more[..left]), &defined(&more[left..]))
            }
        }
    }

    fn grown(mut tree: Tree, leaves: &[Hash]) -> Tree {
        for leaf in leaves {
            tree.push(0, *leaf);
        }
        tree
    }

    #[test]
    fn roots_are_those_that_others_compute() {
        // Leaves over the texts "entry 1" to "entry 7", computed with Python's hashlib by the recursion of the RFC.
        let texts: Vec<String> = (1..=7).map(|number| format!("entry {number}")).collect();
        let leaves: Vec<Hash> = texts.iter().map(|text| leaf(text.as_bytes())).collect();
        for (size, root) in [
            (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (1, "2dfb36c6f66cac361429cf46df868ab8242d3a6441f1099c8fb3f98ec5d108a4"),
            (2, "e59cf729ba41044bc8117e10e200f1fd0e57228e6c728246aaaca7381770bfdc"),
            (3, "ae890d0750cf6d982e0fb89bd87ccd2f47cdb3d175b723b943981d710d224f75"),
            (7, "40f217245cefba543d7b66781c8bb20cbfd2657ba1f621a7f96bd753a925a404"),
        ] {
            assert_eq!(hex::encode(grown(Tree::default(), &leaves[..size]).root()), root, "{size} leaves");
        }
    }

    #[test]
    fn a_tree_that_grows_has_the_root_that_is_defined_for_it_at_every_size() {
        let leaves = leaves(600);
        let mut tree = Tree::default();
        for (size, leaf) in leaves.iter().enumerate() {
            assert_eq!(tree.root(), defined(&leaves[..size]), "{size} leaves");
            tree.push(0, *leaf);
        }
    }

    #[test]
    fn every_leaf_of_every_size_is_led_to_the_root_and_from_no_other_place() {
        for size in (1..70).chain([127, 128, 129, 255, 256, 257]) {
            let leaves = leaves(size);
            for (index, leaf) in (0..size).zip(&leaves) {
                let (root, path) = grown(Tree::watching(index), &leaves).into_path();
                assert_eq!(root_along(*leaf, index, size, &path), Some(root), "{index} of {size}");
                for other in [index - 1, index + 1, size, -1] {
                    let elsewhere = root_along(*leaf, other, size, &path);
                    assert_ne!(elsewhere, Some(root), "{index} of {size} at {other}");
                }
            }
        }
    }

    #[test]
    fn a_tree_put_together_from_parts_is_the_same_tree() {
        let leaves = leaves(600);
        let whole = grown(Tree::default(), &leaves);
        for height in [0, 2, 4, 8] {
            let mut together = Tree::default();
            for (number, part) in (0..).zip(leaves.chunks(1 << height)) {
                together.append(&grown(Tree::beginning_at(number << height), part));
            }
            assert_eq!(together.root(), whole.root());
            assert_eq!(together.size(), 600);
        }
    }

    #[test]
    fn nodes_worth_keeping_are_told_of_once_they_are_complete_with_their_number_in_the_whole() {
        let leaves = leaves(1_000);
        let mut part = grown(Tree::beginning_at(256), &leaves[256..]);
        let completed = part.take_completed();
        let expected: Vec<Node> = (1..3)
            .map(|index| {
                let hash = defined(&leaves[256 * index..256 * (index + 1)]);
                Node { height: 8, index: index as i64, hash }
            })
            .collect();
        assert_eq!(completed, expected);
        assert!(part.take_completed().is_empty());
    }

    proptest! {
        #[test]
        fn a_path_with_anything_about_it_altered_leads_elsewhere(
            size in 1_i64..300,
            at in any::<prop::sample::Index>(),
            what in 0_u8..4,
            byte in any::<prop::sample::Index>(),
            bit in 0_usize..8,
        ) {
            let leaves = leaves(size);
            let index = at.index(leaves.len());
            let (root, path) = grown(Tree::watching(index as i64), &leaves).into_path();
            let (mut leaf, mut altered) = (leaves[index], path.clone());
            match what {
                0 => leaf[byte.index(32)] ^= 1 << bit,
                1 if !path.is_empty() => altered[byte.index(path.len())][bit] ^= 1,
                2 if !path.is_empty() => _ = altered.remove(byte.index(path.len())),
                _ => altered.insert(byte.index(path.len() + 1), leaf),
            }
            prop_assert_ne!(root_along(leaf, index as i64, size, &altered), Some(root));
        }
    }
}

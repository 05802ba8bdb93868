//! Offers: a product as it stands on a connection, in the words it is shown with there.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::ProductDetails;

/// Words that were shown before ours took their place, and whose late news are no news; beyond it the oldest is forgotten.
const AWAITED_MAX: usize = 4;

/// What describes a product in a shop window: all of it that platforms know, too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// As a shop window shows it; empty where a platform does not tell.
    pub title: String,
    /// Who makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// What sort of thing it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Free words, in order and each once.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
}

impl ProductDetails {
    /// What platforms are told of it.
    pub fn words(&self) -> Words {
        Words {
            title: self.title.clone(),
            vendor: self.vendor.clone(),
            category: self.category.clone(),
            tags: self.tags.iter().cloned().collect(),
        }
    }

    /// The same with the words that a shop has changed, field by field: those in which what it shows is not what it was
    /// known to show. What it has always shown in its own way is no change.
    #[must_use]
    pub(crate) fn changed(mut self, known: &Words, shown: &Self) -> Self {
        let Words { title, vendor, category, tags } = shown.words();
        if title != known.title {
            self.title = title;
        }
        if vendor != known.vendor {
            self.vendor = vendor;
        }
        if category != known.category {
            self.category = category;
        }
        // The same tags in another order are the same.
        if tags != known.tags && tags != self.words().tags {
            self.tags.clone_from(&shown.tags);
        }
        self
    }
}

/// A product as it stands on a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Our words, as the platform last took them; none if it never did, or if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<Words>,
    /// The words it is known to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Words>,
    /// True if we took it off, and have not seen it there since.
    pub taken_off: bool,
    /// Words that it showed before our pushes, the newest last.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    awaited: VecDeque<Words>,
}

impl Offer {
    /// Whether these words were shown before ours took their place: whoever tells of them is late.
    pub(super) fn awaits(&self, words: &Words) -> bool {
        self.awaited.contains(words)
    }

    /// Our words were taken, and it shows these.
    pub(super) fn push(&mut self, words: Words, shows: Words) {
        self.awaited.retain(|awaited| *awaited != shows);
        self.awaited.extend(self.shown.take().filter(|before| *before != shows));
        if self.awaited.len() > AWAITED_MAX {
            self.awaited.pop_front();
        }
        self.pushed = Some(words);
        self.shown = Some(shows);
        self.taken_off = false;
    }

    /// It was seen, with these words where they are others than were known. What was shown before that is not late any
    /// more: once told again, somebody has gone back to it.
    pub(super) fn see(&mut self, shows: Option<Words>) {
        self.awaited.clear();
        if shows.is_some() {
            self.shown = shows;
            // Ours are there no more, and have to be told again if they are to be.
            self.pushed = None;
            self.taken_off = false;
        }
    }

    /// It may have got through, or not: what it shows is not known any more. The next sight of it is remembered and changes
    /// nothing.
    pub(super) fn give_up(&mut self) {
        *self = Self { taken_off: self.taken_off, ..Self::default() };
    }

    /// It is offered there no more, because we said so.
    pub(super) fn take_off(&mut self) {
        *self = Self { taken_off: true, ..Self::default() };
    }
}

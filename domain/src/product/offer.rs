//! Offers: a product as it stands on a connection, in the words it is shown with there.

use std::collections::{BTreeSet, VecDeque};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ProductDetails;
use crate::values::ExternalId;

/// Words of ours that are waited for; beyond it the oldest is forgotten.
const AWAITED_MAX: usize = 4;

/// One of the things that describe a product in a shop window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// What it is called.
    Title,
    /// Who makes it.
    Vendor,
    /// What sort of thing it is.
    Category,
    /// Free words, all of them together.
    Tags,
}

impl Word {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Title, Self::Vendor, Self::Category, Self::Tags];

    /// As [`Words`] are written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Vendor => "vendor",
            Self::Category => "category",
            Self::Tags => "tags",
        }
    }
}

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

impl Words {
    /// Whether one of them is the same in both.
    pub fn agree(&self, word: Word, other: &Self) -> bool {
        match word {
            Word::Title => self.title == other.title,
            Word::Vendor => self.vendor == other.vendor,
            Word::Category => self.category == other.category,
            Word::Tags => self.tags == other.tags,
        }
    }

    /// Takes one of them from others.
    pub fn take(&mut self, word: Word, other: &Self) {
        match word {
            Word::Title => self.title.clone_from(&other.title),
            Word::Vendor => self.vendor.clone_from(&other.vendor),
            Word::Category => self.category.clone_from(&other.category),
            Word::Tags => self.tags.clone_from(&other.tags),
        }
    }

    /// The same, with what is not told as it was known: a shop that does not say has changed nothing. One that says there are
    /// none has: that is so of `told`.
    fn or(mut self, known: &Self, told: &[Word]) -> Self {
        for word in Word::ALL {
            let says_none = match word {
                Word::Title => self.title.trim().is_empty(),
                Word::Vendor => self.vendor.is_none(),
                Word::Category => self.category.is_none(),
                Word::Tags => self.tags.is_empty(),
            };
            if says_none && !told.contains(&word) {
                self.take(word, known);
            }
        }
        self
    }

    /// Whether these are what a shop shows now, each of them, or else is as it was.
    fn explain(&self, before: &Self, now: &Self) -> bool {
        Word::ALL.into_iter().all(|word| now.agree(word, self) || now.agree(word, before))
    }
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
    /// known to show. What it has always shown in its own way is no change, and neither is what it does not tell.
    #[must_use]
    pub(super) fn changed(mut self, known: &Words, shown: &Self, told: &[Word]) -> Self {
        let Words { title, vendor, category, tags } = shown.words().or(known, told);
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

/// A shop's words, as it shows them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Showing<'a> {
    /// As which of its products.
    pub(crate) external: &'a ExternalId,
    /// In these words.
    pub(crate) details: &'a ProductDetails,
    /// Which of them are told even if they are none.
    pub(crate) told: &'a [Word],
    /// When it looked so, by the shop's clock.
    pub(crate) at: DateTime<Utc>,
}

/// A product as it stands on a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Our words as of which what is shown is in order: those it took; or, of each that somebody over there has put otherwise,
    /// those we had when we saw it. None if nothing is known of what is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Words>,
    /// The words it is known to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Words>,
    /// True if we took it off, and have not seen it there since.
    pub taken_off: bool,
    /// Which of the shop's products shows them, where it was seen to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shown_by: Option<ExternalId>,
    /// When our words were last taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pushed_at: Option<DateTime<Utc>>,
    /// Words of ours that were taken and are not to be seen yet, the newest last: somebody over there may look at them first.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    awaited: VecDeque<Words>,
}

impl Offer {
    /// What describes the product now that a shop shows it so; none if nothing was changed there. That is: if we have not
    /// seen before how this product of the shop's is described, or not since we told it; and if it is our own words that are
    /// shown at last.
    pub(super) fn change(&self, ours: &ProductDetails, showing: Showing<'_>) -> Option<ProductDetails> {
        let known = self.shown.as_ref().filter(|_| self.is_shown_by(showing.external))?;
        let Showing { details, told, .. } = showing;
        if self.is_late(showing.at) || self.place_of(&details.words().or(known, told)).is_some() {
            return None;
        }
        Some(ours.clone().changed(known, details, told)).filter(|changed| changed != ours)
    }

    /// Whether words of ours were taken that are not to be seen yet: what is shown was there before them.
    pub fn is_awaited(&self) -> bool {
        !self.awaited.is_empty()
    }

    /// What is worth remembering of the words that a shop shows; of some of them it may tell that there are none.
    pub(super) fn news(
        &self,
        external: &ExternalId,
        (shows, told): (Words, &[Word]),
        at: DateTime<Utc>,
    ) -> Option<Words> {
        if self.is_late(at) {
            return None;
        }
        match &self.shown {
            Some(known) if self.is_shown_by(external) => {
                Some(shows.or(known, told)).filter(|shows| shows != known)
            }
            _ => Some(shows),
        }
    }

    /// Whether this is how it stood before our own words came.
    fn is_late(&self, at: DateTime<Utc>) -> bool {
        self.pushed_at.is_some_and(|pushed| at < pushed)
    }

    fn is_shown_by(&self, external: &ExternalId) -> bool {
        self.shown_by.as_ref().is_none_or(|known| known == external)
    }

    /// Where among those that are awaited are the words that a shop shows at last.
    fn place_of(&self, told: &Words) -> Option<usize> {
        let before = self.shown.as_ref().filter(|before| *before != told)?;
        self.awaited.iter().position(|ours| ours.explain(before, told))
    }

    /// Our words were taken, and it shows these.
    pub(super) fn push(&mut self, words: Words, shows: Words, at: DateTime<Utc>) {
        let earlier = self.place_of(&shows);
        let as_before = self.shown.as_ref().is_none_or(|before| *before == shows);
        match earlier {
            // Some that were told before have come meanwhile.
            Some(place) => drop(self.awaited.drain(..=place)),
            // Nobody over there looks at what is told first.
            None if !as_before => self.awaited.clear(),
            None => {}
        }
        if (earlier.is_some() || as_before) && shows != words {
            self.awaited.retain(|awaited| *awaited != words);
            self.awaited.push_back(words.clone());
            if self.awaited.len() > AWAITED_MAX {
                self.awaited.pop_front();
            }
        }
        self.settled = Some(words);
        self.shown = Some(shows);
        self.shown_by = None;
        self.pushed_at = Some(at);
        self.taken_off = false;
    }

    /// One of the shop's products was seen, with words that are others than were known, or another one's. `ours` has taken in
    /// already what was changed there.
    pub(super) fn see(&mut self, shows: Words, external: Option<ExternalId>, mut ours: Option<Words>) {
        if let Some(place) = self.place_of(&shows) {
            self.awaited.drain(..=place);
        } else if self.shown.as_ref() != Some(&shows) {
            self.awaited.clear();
            if let (Some(before), Some(known), Some(ours)) = (&self.shown, &self.settled, &mut ours) {
                // What was left as it was there is still to be what we say.
                let left = Word::ALL.into_iter().filter(|word| before.agree(*word, &shows));
                left.for_each(|word| ours.take(word, known));
            }
            self.settled = ours;
        }
        self.shown = Some(shows);
        self.shown_by = external;
        self.taken_off = false;
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

//! What is asked about whole products: that they are offered, in which words, and that they are offered no more.

use std::collections::BTreeMap;

use onhand_domain::{
    connection::SyncRules,
    product::Words,
    values::{Money, Sku},
};

use super::{super::signature, CallError, Handle};

/// Characters of a SKU that are kept in a name for a page.
const NAMED_MAX: usize = 60;
/// Where the hash begins in what tells contents apart.
const MARK_AT: usize = "sha256:".len();

/// What can be done with products through a platform's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Skills {
    /// Products that are not there can be made, out of what is known of them here.
    pub offers: bool,
    /// What describes a product can be changed.
    pub describes: bool,
    /// Products can be taken off.
    pub takes_off: bool,
}

impl Skills {
    /// All there are.
    pub const ALL: Self = Self { offers: true, describes: true, takes_off: true };

    /// What of these a connection's rules let out.
    #[must_use]
    pub fn under(self, rules: &SyncRules) -> Self {
        let on = rules.realtime_sync_enabled;
        Self {
            offers: self.offers && on && rules.propagate_creates,
            describes: self.describes && on && rules.propagate_updates,
            takes_off: self.takes_off && on && rules.propagate_deletes,
        }
    }
}

/// A product as it is to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductAsk {
    /// What describes it.
    pub words: Words,
    /// The words that need not be said again; none if that is not known. What is empty here and in ours is the shop's own
    /// affair.
    pub told: Option<Words>,
    /// Whether it was us who took it off, so that what is off there may be on sale again. What somebody else has taken off
    /// or holds back stays as it is.
    pub taken_off: bool,
    /// Its variants; at least one.
    pub variants: Vec<VariantAsk>,
}

impl ProductAsk {
    /// A name for its page that is the same each time it is asked for and nobody else's, for platforms where only a page's
    /// name tells a product apart that was made and whose answer was lost. Letters without accents, digits and dashes.
    pub fn page_name(&self) -> String {
        page_name(self.variants.first().map_or("", |variant| variant.sku.as_str()))
    }

    /// Whether a page has the name it was given here, whichever of the variants was the first one then.
    pub fn is_page(&self, name: &str) -> bool {
        self.variants.iter().any(|variant| page_name(variant.sku.as_str()) == name)
    }
}

fn page_name(sku: &str) -> String {
    let words = sku.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let named = words.collect::<Vec<_>>().join("-").to_lowercase();
    let named: String = named.chars().take(NAMED_MAX).collect();
    let mark: String = signature::content_id(&[sku.as_bytes()]).chars().skip(MARK_AT).take(8).collect();
    [named, mark].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// A variant as it is to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantAsk {
    /// The seller's code, by which it is found if it is there already.
    pub sku: Sku,
    /// `size` and whatever else sets it apart.
    pub attributes: BTreeMap<String, String>,
    /// In the connection's currency; none where the platform takes no prices.
    pub price: Option<Money>,
    /// As the platform knows it, if it is known to be there.
    pub there: Option<Handle>,
    /// As the platform knew it until we took it off. It is looked for by that before it is looked for by its SKU, which may have
    /// been changed here since; what is not there any more is made anew.
    pub was: Option<Handle>,
}

impl VariantAsk {
    /// Why it is taken for none of several things that are for sale under its SKU: whichever it were, the others would go on
    /// being sold.
    pub fn ambiguity(&self) -> CallError {
        let sku = &self.sku;
        CallError::never(format!("{sku} is for sale there more than once; map those that are it by hand"))
    }
}

/// A product that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// As the platform knows them: of each variant asked for, in order.
    pub handles: Vec<Handle>,
    /// What describes it there, as the platform's webhooks and looks tell it.
    pub words: Words,
}

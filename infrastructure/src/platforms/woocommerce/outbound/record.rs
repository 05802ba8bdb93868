//! Products and variations as the shop's API has them, as far as offering and describing need it (`wp-api-v3` of
//! `woocommerce-rest-api-docs`, and the plugin's own controllers).

use onhand_domain::product::Words;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    super::{
        super::{
            outbound::{CallError, VariantAsk, options},
            read,
        },
        entities::decoded,
        inbound::bodies::{NO_CATEGORY, Product},
    },
    batch::Place,
    listing::Listing,
};

/// What is read of a product. There is far more to one, and its description may be as long as a book.
pub(super) const FIELDS: &str =
    "id,parent_id,type,status,name,slug,sku,attributes,categories,tags,variations,date_modified_gmt";

/// A product or a variation.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Record {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    parent_id: Value,
    #[serde(rename = "type")]
    kind: Option<String>,
    status: Option<String>,
    name: Option<String>,
    slug: Option<String>,
    sku: Option<String>,
    attributes: Option<Vec<Attribute>>,
    categories: Option<Vec<Term>>,
    tags: Option<Vec<Term>>,
    variations: Option<Vec<Value>>,
}

/// What sets variations apart. A product has several options under each name, and a variation has the one that it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Attribute {
    /// 0 for one that is this product's alone.
    #[serde(default)]
    id: i64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    position: i64,
    #[serde(default)]
    visible: bool,
    #[serde(default)]
    variation: bool,
    #[serde(default)]
    options: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Term {
    #[serde(default)]
    pub(super) id: i64,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    slug: String,
}

impl Term {
    /// Whether it is the category of what is in no other.
    pub(super) fn is_no_category(&self) -> bool {
        self.slug == NO_CATEGORY
    }
}

impl Record {
    fn id(&self) -> Option<i64> {
        read::whole(&self.id).filter(|id| *id > 0)
    }

    fn is(&self, status: &str) -> bool {
        self.status.as_deref() == Some(status)
    }

    /// The SKU and where it is, if this is something that can be bought: a product with variations is none, whatever SKU
    /// it has itself.
    pub(super) fn found(&self) -> Option<(String, Place)> {
        let parent = read::whole(&self.parent_id).filter(|id| *id > 0);
        let parent = match self.kind.as_deref()? {
            "variation" => Some(parent?),
            kind if kind.starts_with("variable") => return None,
            _ => None,
        };
        Some((self.sku.clone()?, Place { parent, id: self.id()? }))
    }
}

/// Variations that were made, in the order they were asked for.
#[derive(Deserialize)]
pub(super) struct Made {
    create: Vec<Listing>,
}

impl Made {
    /// The id of each, or why one of them was not made or is not counted.
    pub(super) fn ids(self, asked: usize) -> Result<Vec<i64>, CallError> {
        let lacking = || CallError::failed("the shop's answer does not mention all that was to be made");
        if self.create.len() != asked {
            return Err(lacking());
        }
        let id = |listing: Listing| {
            let listing = listing.granted()?;
            let id = listing.id().filter(|id| *id > 0).ok_or_else(lacking)?;
            listing.counts(0).map(|_| id)
        };
        self.create.into_iter().map(id).collect()
    }
}

/// A product, not a variation.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    pub(super) id: i64,
    /// By which webhooks and looks make it known.
    pub(super) words: Words,
    /// How it is sold.
    pub(super) listing: Listing,
    record: Record,
}

impl Whole {
    /// The product that was asked for.
    pub(super) fn of(object: Value, id: i64) -> Result<Self, CallError> {
        let product = Self::made(object)?;
        if product.id == id { Ok(product) } else { Err(strange()) }
    }

    /// Whatever product it is.
    pub(super) fn made(object: Value) -> Result<Self, CallError> {
        let known: Product = serde_json::from_value(object.clone()).map_err(|_| strange())?;
        let listing: Listing = serde_json::from_value(object.clone()).map_err(|_| strange())?;
        let mut record: Record = serde_json::from_value(object).map_err(|_| strange())?;
        record.name = record.name.map(|name| decoded(&name));
        for term in record.categories.iter_mut().chain(&mut record.tags).flatten() {
            term.name = decoded(&term.name);
        }
        Ok(Self { id: record.id().ok_or_else(strange)?, words: known.words(), listing, record })
    }

    pub(super) fn is_draft(&self) -> bool {
        self.record.is("draft")
    }

    pub(super) fn is_trash(&self) -> bool {
        self.record.is("trash")
    }

    /// Whether it is to be sold in variations and has none.
    pub(super) fn is_empty(&self) -> bool {
        self.is_varied() && self.record.variations.as_ref().is_some_and(Vec::is_empty)
    }

    fn is_varied(&self) -> bool {
        self.record.kind.as_deref().is_some_and(|kind| kind.starts_with("variable"))
    }

    /// Whether what can be bought in this place is it, or is one of its variations.
    pub(super) fn holds(&self, place: Place) -> bool {
        match place.parent {
            None => place.id == self.id && !self.is_varied(),
            Some(parent) => {
                let mut variations = self.record.variations.iter().flatten();
                parent == self.id && variations.any(|id| read::whole(id) == Some(place.id))
            }
        }
    }

    /// All of it, where the words of a product with variations may be cut.
    pub(super) fn title(&self) -> &str {
        self.record.name.as_deref().unwrap_or_default()
    }

    /// The name of its page.
    pub(super) fn slug(&self) -> &str {
        self.record.slug.as_deref().unwrap_or_default()
    }

    pub(super) fn tags(&self) -> &[Term] {
        self.record.tags.as_deref().unwrap_or_default()
    }

    pub(super) fn categories(&self) -> &[Term] {
        self.record.categories.as_deref().unwrap_or_default()
    }

    /// What sets its variations apart.
    pub(super) fn options(&self) -> Vec<String> {
        let attributes = self.record.attributes.iter().flatten().filter(|attribute| attribute.variation);
        attributes.map(|attribute| decoded(&attribute.name)).collect()
    }

    /// Its attributes, the values of variants among their options, and whether this changes them; none if it has no
    /// attribute that sets variations apart.
    pub(super) fn attributes_for<'v>(
        &self,
        variants: impl Iterator<Item = &'v VariantAsk>,
    ) -> Option<(Value, bool)> {
        let (mut attributes, mut changed) = (self.record.attributes.clone()?, false);
        if !attributes.iter().any(|attribute| attribute.variation) {
            return None;
        }
        for variant in variants {
            for attribute in attributes.iter_mut().filter(|attribute| attribute.variation) {
                let value = options::value(variant, &decoded(&attribute.name));
                if !attribute.options.iter().any(|known| decoded(known) == value) {
                    attribute.options.push(value.to_owned());
                    changed = true;
                }
            }
        }
        Some((json!(attributes), changed))
    }

    /// A variant's values of its attributes.
    pub(super) fn values_of(&self, variant: &VariantAsk) -> Value {
        let attributes = self.record.attributes.iter().flatten().filter(|attribute| attribute.variation);
        let value = |attribute: &Attribute| {
            let option = options::value(variant, &decoded(&attribute.name));
            json!({ "id": attribute.id, "name": attribute.name, "option": option })
        };
        attributes.map(value).collect()
    }
}

fn strange() -> CallError {
    CallError::failed("the shop's answer is about no product, or about another one")
}

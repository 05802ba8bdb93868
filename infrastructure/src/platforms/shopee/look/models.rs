//! The models of an item, as a look at Shopee shows them: each is a variant.
//!
//! The answer names neither the item nor its title; the hint does.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use onhand_domain::{
    catalog::{ObservedProduct, ObservedVariant},
    connection::ConnectionDetails,
    product::{ProductDetails, VARIANTS_MAX},
    values::{Currency, ExternalId},
};
use serde::Deserialize;
use serde_json::Value;

use super::super::super::{
    adapter::Hint,
    fact::{Fact, Undecodable},
    read,
};
use super::items::{Stock, price};

/// The answer about an item's models.
#[derive(Deserialize)]
pub(super) struct Models {
    /// What sets the models apart: colour, size.
    tier_variation: Option<Vec<Tier>>,
    model: Vec<Model>,
}

#[derive(Deserialize)]
struct Tier {
    name: Option<String>,
    option_list: Option<Vec<Choice>>,
}

#[derive(Deserialize)]
struct Choice {
    option: Option<String>,
}

#[derive(Deserialize)]
struct Model {
    model_id: ExternalId,
    model_sku: Option<String>,
    /// For each tier the place of its option.
    tier_index: Option<Vec<Value>>,
    price_info: Option<Value>,
    stock_info_v2: Option<Stock>,
}

impl Models {
    /// The item that was hinted at, with all of its models, and what is there of each.
    pub(super) fn facts(
        self,
        hint: &Hint,
        at: DateTime<Utc>,
        details: &ConnectionDetails,
    ) -> Result<Vec<Fact>, Undecodable> {
        let (item, titled) = (super::of_item(hint)?, super::titled(hint, at));
        if self.model.is_empty() {
            return Err(Undecodable(format!("item {item} shows no models; look at the item again")));
        }
        read::within(self.model.len(), VARIANTS_MAX, "models of an item")?;
        let mut stocks = Vec::new();
        for model in &self.model {
            stocks.extend(Stock::observed(model.stock_info_v2.as_ref(), &model.model_id, at)?);
        }
        read::within(stocks.len() + 1, read::FACTS_MAX, "facts")?;
        let tiers = self.tier_variation.unwrap_or_default();
        let product = Fact::Product(ObservedProduct {
            external: item,
            details: ProductDetails { title: titled.title, ..ProductDetails::default() },
            told: vec![],
            variants: self.model.into_iter().map(|model| model.observed(&tiers, details.currency)).collect(),
            complete: true,
            // A title that has waited must not be taken for one of this moment.
            at: titled.at,
        });
        Ok(std::iter::once(product).chain(stocks).collect())
    }
}

impl Model {
    fn observed(self, tiers: &[Tier], currency: Currency) -> ObservedVariant {
        ObservedVariant {
            attributes: attributes(tiers, self.tier_index.as_deref().unwrap_or_default()),
            sku: read::sku(self.model_sku.as_deref()),
            price: price(self.price_info.as_ref(), currency),
            inventory: Some(self.model_id.clone()),
            external: self.model_id,
        }
    }
}

/// The options of a model under the names of their tiers, or under `option1` and so on where a tier has none.
fn attributes(tiers: &[Tier], chosen: &[Value]) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    for (position, (tier, index)) in (1..).zip(tiers.iter().zip(chosen)) {
        let index = read::whole(index).and_then(|index| usize::try_from(index).ok());
        let Some(option) = index.and_then(|index| tier.option(index)) else { continue };
        let name =
            tier.name().map_or_else(|| format!("option{position}"), |name| read::word(&name.to_lowercase()));
        attributes.insert(name, read::word(option));
    }
    attributes
}

impl Tier {
    fn name(&self) -> Option<&str> {
        self.name.as_deref().map(str::trim).filter(|name| !name.is_empty())
    }

    fn option(&self, index: usize) -> Option<&str> {
        let option = self.option_list.as_ref()?.get(index)?.option.as_deref()?.trim();
        (!option.is_empty()).then_some(option)
    }
}

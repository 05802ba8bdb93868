//! Setting prices: one call for each product, in which a bad price fails alone.
//!
//! The shop answers a call with the variants as they have become, so a price is shown only where it stands there.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use onhand_domain::values::Money;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::super::outbound::{CALLS_AT_ONCE, CallError, Handle, Outcome, PriceAsk},
    Shop,
    call::UserError,
    gid,
};

/// The most variants that go into one call.
const VARIANTS_PER_CALL_MAX: usize = 100;

const SET: &str = "mutation OnhandSetPrices($product: ID!, $variants: [ProductVariantsBulkInput!]!) {
    productVariantsBulkUpdate(productId: $product, variants: $variants, allowPartialUpdates: true) {
        productVariants { id price }
        userErrors { field message code }
    }
}";

/// A price on its way to its variant.
struct Item {
    /// The place of its ask.
    at: usize,
    gid: String,
    price: Money,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Set {
    product_variants_bulk_update: Payload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    /// All that were sent and are the product's, refused ones too, as they are now; none of a product that is not there.
    product_variants: Option<Vec<Variant>>,
    user_errors: Vec<UserError>,
}

#[derive(Deserialize)]
struct Variant {
    id: String,
    price: Option<String>,
}

impl Payload {
    /// What has become of each item that was sent, in order.
    fn outcomes(&self, items: &[Item]) -> Vec<Outcome<Money>> {
        let mut refused: Vec<Option<CallError>> = vec![None; items.len()];
        for error in &self.user_errors {
            match error.index().and_then(|index| refused.get_mut(index)) {
                Some(place) => *place = Some(error.meaning()),
                None => refused.fill(Some(error.meaning())),
            }
        }
        let outcome = |(item, refused): (&Item, Option<CallError>)| {
            refused.map_or_else(|| self.shown(item), Outcome::Failed)
        };
        items.iter().zip(refused).map(outcome).collect()
    }

    fn shown(&self, item: &Item) -> Outcome<Money> {
        let variant = self.product_variants.iter().flatten().find(|variant| variant.id == item.gid);
        let price = variant.and_then(|variant| variant.price.as_deref());
        match price.and_then(|price| Money::parse(price, item.price.currency).ok()) {
            Some(shown) if shown == item.price => Outcome::Shown(shown),
            Some(observed) => Outcome::Stale { observed },
            None => {
                let why = "the shop's answer does not say what the variant costs now";
                Outcome::Failed(CallError::failed(why))
            }
        }
    }
}

impl Shop<'_> {
    /// Sets prices and answers for each ask, in order. To repeat it does no harm.
    pub(in super::super) async fn set_prices(&self, asks: &[PriceAsk]) -> Vec<Outcome<Money>> {
        let mut outcomes: BTreeMap<usize, Outcome<Money>> = BTreeMap::new();
        let mut products: BTreeMap<String, Vec<Item>> = BTreeMap::new();
        for (at, ask) in asks.iter().enumerate() {
            match self.item(at, ask) {
                Ok((product, item)) => products.entry(product).or_default().push(item),
                Err(error) => {
                    outcomes.insert(at, Outcome::Failed(error));
                }
            }
        }
        let mut calls = Vec::new();
        for (product, items) in &products {
            calls.extend(items.chunks(VARIANTS_PER_CALL_MAX).map(|items| self.set_product(product, items)));
        }
        let answers: Vec<_> = stream::iter(calls).buffered(CALLS_AT_ONCE).collect().await;
        outcomes.extend(answers.into_iter().flatten());
        outcomes.into_values().collect()
    }

    /// An ask on its way, and the product that it goes to.
    fn item(&self, at: usize, ask: &PriceAsk) -> Result<(String, Item), CallError> {
        let Handle { product, variant, .. } = &ask.handle;
        let ids = gid("Product", product).zip(gid("ProductVariant", variant));
        let (product, gid) = ids.ok_or_else(|| {
            CallError::never(format!("{product} and {variant} are no ids of a product and a variant"))
        })?;
        if ask.price.currency != self.0.details().currency {
            let why = format!("the price is in {}, and the shop's are not", ask.price.currency);
            return Err(CallError::never(why));
        }
        Ok((product, Item { at, gid, price: ask.price }))
    }

    /// What has become of each variant of one product, by the places of the asks.
    async fn set_product(&self, product: &str, items: &[Item]) -> Vec<(usize, Outcome<Money>)> {
        let variant = |item: &Item| json!({"id": item.gid, "price": item.price.to_decimal()});
        let variants: Vec<Value> = items.iter().map(variant).collect();
        let cost = 10 + items.len();
        let variables = json!({"product": product, "variants": variants});
        let outcomes = match self.call::<Set>(SET, variables, cost).await {
            Ok(set) => set.product_variants_bulk_update.outcomes(items),
            Err(error) => vec![Outcome::Failed(error); items.len()],
        };
        items.iter().map(|item| item.at).zip(outcomes).collect()
    }
}

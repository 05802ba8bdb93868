//! Setting prices: one call for each product, in which a bad price fails alone.

use std::collections::BTreeMap;

use onhand_domain::values::{ExternalId, Money};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::super::outbound::{CallError, Outcome, PriceAsk},
    Shop,
    call::UserError,
    gid,
};

/// The most variants that go into one call.
const VARIANTS_PER_CALL_MAX: usize = 100;

const SET: &str = "mutation OnhandSetPrices($product: ID!, $variants: [ProductVariantsBulkInput!]!) {
    productVariantsBulkUpdate(productId: $product, variants: $variants, allowPartialUpdates: true) {
        userErrors { field message code }
    }
}";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Set {
    product_variants_bulk_update: Payload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    user_errors: Vec<UserError>,
}

impl Shop<'_> {
    /// Sets prices and answers for each ask, in order. To repeat it does no harm.
    pub(in super::super) async fn set_prices(&self, asks: &[PriceAsk]) -> Vec<Outcome<Money>> {
        let mut outcomes: Vec<_> = asks.iter().map(|ask| Outcome::Shown(ask.price)).collect();
        let mut products: BTreeMap<&ExternalId, Vec<usize>> = BTreeMap::new();
        for (at, ask) in asks.iter().enumerate() {
            if gid("ProductVariant", &ask.handle.variant).is_none()
                || gid("Product", &ask.handle.product).is_none()
            {
                let why = format!(
                    "{} and {} are no ids of a product and a variant",
                    ask.handle.product, ask.handle.variant
                );
                outcomes[at] = Outcome::Failed(CallError::never(why));
            } else if ask.price.currency != self.0.details().currency {
                let why = format!("the price is in {}, and the shop's are not", ask.price.currency);
                outcomes[at] = Outcome::Failed(CallError::never(why));
            } else {
                products.entry(&ask.handle.product).or_default().push(at);
            }
        }
        for (product, places) in products {
            for places in places.chunks(VARIANTS_PER_CALL_MAX) {
                let set = self.set_product(product, places.iter().map(|at| &asks[*at])).await;
                for (at, error) in places.iter().zip(set) {
                    if let Some(error) = error {
                        outcomes[*at] = Outcome::Failed(error);
                    }
                }
            }
        }
        outcomes
    }

    /// What stood in the way of each variant of one product.
    async fn set_product(
        &self,
        product: &ExternalId,
        asks: impl Iterator<Item = &PriceAsk>,
    ) -> Vec<Option<CallError>> {
        let variant = |ask: &PriceAsk| json!({"id": gid("ProductVariant", &ask.handle.variant), "price": ask.price.to_decimal()});
        let variants: Vec<Value> = asks.map(variant).collect();
        let mut found = vec![None; variants.len()];
        let cost = 10 + variants.len();
        let variables = json!({"product": gid("Product", product), "variants": variants});
        match self.call::<Set>(SET, variables, cost).await {
            Err(error) => found.fill(Some(error)),
            Ok(set) => {
                for error in set.product_variants_bulk_update.user_errors {
                    match error.index().and_then(|index| found.get_mut(index)) {
                        Some(place) => *place = Some(error.meaning()),
                        None => found.fill(Some(error.meaning())),
                    }
                }
            }
        }
        found
    }
}

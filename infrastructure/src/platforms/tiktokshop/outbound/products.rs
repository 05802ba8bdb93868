//! Whole products: what they are called, and that they are switched off.
//!
//! Of the words that describe a product the title can be changed. Who makes it is a brand there and what sort of thing it is a
//! category, both of which have ids of the platform's; tags it has none. A new title of a product that is on sale is shown
//! once the platform has reviewed it, and until then the old one is. Source: the vendor's reference of `Partial Edit Product`
//! and of `Deactivate Products`, by what its clients have copied of it.

use std::{collections::BTreeSet, convert::identity};

use axum::http::Method;
use futures_util::{StreamExt, stream};
use onhand_domain::{product::Words, values::ExternalId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        super::{
            fact::Fact,
            outbound::{Api, CALLS_AT_ONCE, CallError, Handle, ProductAsk},
            read,
        },
        look,
    },
    call::{self, Refused},
    known, shown,
};

const SWITCHED_OFF: &str = "/product/202309/products/deactivate";

/// The most products that are switched off at once. Source: as above.
const PRODUCTS_MAX: usize = 20;

/// The refusal of a product that the shop does not have. (Assumed, as in the changes of SKUs.)
const NO_SUCH_PRODUCT: i64 = 12_052_048;

/// What the platform has against products of a call that went well otherwise.
#[derive(Deserialize, Default)]
struct Refusals {
    errors: Option<Vec<Refusal>>,
}

#[derive(Deserialize)]
struct Refusal {
    code: Option<Value>,
    message: Option<String>,
    detail: Option<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    product_id: Option<Value>,
}

/// Has a product called by its title, and tells what describes it then. What is several products there is called by the same
/// title in each of them.
pub(in super::super) async fn describe(api: &Api, ask: &ProductAsk) -> Result<Words, CallError> {
    let products = products(ask.variants.iter().filter_map(|variant| variant.there.as_ref()))?;
    let first = *products.first().ok_or_else(|| CallError::never("the shop has nothing of the product"))?;
    let calls: Vec<_> = products.iter().map(|product| call_it(api, product, &ask.words.title)).collect();
    let done: Vec<Result<(), CallError>> = stream::iter(calls).buffered(CALLS_AT_ONCE).collect().await;
    done.into_iter().collect::<Result<(), CallError>>()?;
    let facts = shown::look_at(api, first, identity).await?;
    let words = facts.into_iter().find_map(|fact| match fact {
        Fact::Product(product) => Some(product.details.words()),
        _ => None,
    });
    words.ok_or_else(|| CallError::never(format!("the shop has no product {first} any more")))
}

/// Switches products off, so that nobody can buy them; their seller can switch them on again.
pub(in super::super) async fn take_off(api: &Api, handles: &[Handle]) -> Result<(), CallError> {
    for products in products(handles.iter())?.chunks(PRODUCTS_MAX) {
        switch_off(api, products).await?;
    }
    Ok(())
}

/// The products that variants are of, each once.
fn products<'h>(handles: impl Iterator<Item = &'h Handle>) -> Result<Vec<&'h ExternalId>, CallError> {
    let products = handles.map(|handle| known(handle).map(|()| &handle.product));
    let products: BTreeSet<&ExternalId> = products.collect::<Result<_, CallError>>()?;
    Ok(products.into_iter().collect())
}

async fn call_it(api: &Api, product: &ExternalId, title: &str) -> Result<(), CallError> {
    let path = format!("{}/partial_edit", look::product(product));
    let call = call::signed(api, Method::POST, &path, Some(json!({ "title": title })))?;
    call::data(&api.write(call).await?).map(drop)
}

/// Switches products off in one call. One against which something is held may be off already, or not be there, and is
/// looked at.
async fn switch_off(api: &Api, products: &[&ExternalId]) -> Result<(), CallError> {
    let ids: Vec<&str> = products.iter().map(|product| product.as_str()).collect();
    let call = call::signed(api, Method::POST, SWITCHED_OFF, Some(json!({ "product_ids": ids })))?;
    let held: Vec<(&ExternalId, CallError)> = match call::told(&api.write(call).await?) {
        Ok(data) => {
            // Where there is nothing to say there may be no data at all.
            let refusals: Option<Refusals> = serde_json::from_value(data)
                .map_err(|_| CallError::failed("the platform's answer makes no sense"))?;
            let refusals = refusals.unwrap_or_default();
            products.iter().filter_map(|product| Some((*product, refusals.against(product)?))).collect()
        }
        Err(Refused { error: error @ CallError::Never { .. }, .. }) => {
            products.iter().map(|product| (*product, error.clone())).collect()
        }
        Err(refused) => return Err(refused.error),
    };
    for (product, error) in held {
        if !is_off(api, product).await? {
            return Err(error);
        }
    }
    Ok(())
}

async fn is_off(api: &Api, product: &ExternalId) -> Result<bool, CallError> {
    let call = call::signed(api, Method::GET, &look::product(product), None)?;
    match call::told(&api.read(call).await?) {
        Ok(shown) => Ok(matches!(shown["status"].as_str(), Some(look::OFF | look::DELETED))),
        Err(Refused { code: Some(NO_SUCH_PRODUCT), .. }) => Ok(true),
        Err(refused) => Err(refused.error),
    }
}

impl Refusals {
    /// What is held against a product: what is said of it, or else of none that is named.
    fn against(&self, product: &ExternalId) -> Option<CallError> {
        let mut errors = self.errors.iter().flatten();
        errors.find(|error| error.product().is_none_or(|it| it == *product)).map(Refusal::meaning)
    }
}

impl Refusal {
    fn product(&self) -> Option<ExternalId> {
        ExternalId::deserialize(self.detail.as_ref()?.product_id.as_ref()?).ok()
    }

    /// What it means. No person is called for: the call itself went well.
    fn meaning(&self) -> CallError {
        let Some(code) = self.code.as_ref().and_then(read::whole) else {
            return CallError::failed("TikTok Shop refuses the product and gives no reason");
        };
        match Refused::new(code, self.message.as_deref().unwrap_or_default()).error {
            CallError::NeedsPerson { why } => CallError::never(why),
            error => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_against_one_product_is_not_held_against_another() {
        let id = |text: &str| ExternalId::new(text).expect("an id");
        let refusals = |detail: Value| {
            let error = json!({ "code": 105_002, "message": "over", "detail": detail });
            serde_json::from_value::<Refusals>(json!({ "errors": [error] })).expect("refusals")
        };
        for detail in [json!({ "product_id": "7" }), json!({ "product_id": 7 }), json!({}), json!(null)] {
            let against = refusals(detail.clone()).against(&id("7"));
            assert!(matches!(against, Some(CallError::Never { .. })), "{detail}: {against:?}");
        }
        assert_eq!(refusals(json!({ "product_id": "8" })).against(&id("7")), None);
        assert_eq!(Refusals::default().against(&id("7")), None);
    }
}

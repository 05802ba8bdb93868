//! Whole items: what they are called, and that they are listed no more.
//!
//! Of the words that describe a product Shopee takes the title. Who makes it is a brand there and what sort of thing it is a
//! category, both of which have numbers of Shopee's; tags it has none. Source: the vendor's reference of `update_item` and
//! `unlist_item`.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt};
use onhand_domain::{product::Words, values::ExternalId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        super::{
            outbound::{Api, CALLS_AT_ONCE, CallError, Handle, ProductAsk},
            read,
        },
        look,
    },
    BATCH_MAX, Model,
    call::{Refusal, changes, reason, shows, understood},
};

const SHOWN: &str = "/api/v2/product/get_item_base_info";
const DESCRIBED: &str = "/api/v2/product/update_item";
const UNLISTED: &str = "/api/v2/product/unlist_item";

/// The refusal of what is not there.
pub(super) const NOT_FOUND: &str = "error_item_not_found";

/// What became of items that were to be unlisted.
#[derive(Deserialize, Default)]
struct Lists {
    success_list: Option<Vec<Value>>,
    failure_list: Option<Vec<Value>>,
}

/// Has each item of a product called by its title, and tells what describes the first of them then.
pub(in super::super) async fn describe(api: &Api, ask: &ProductAsk) -> Result<Words, CallError> {
    let items = items(ask.variants.iter().filter_map(|variant| variant.there.as_ref()))?;
    let first = *items.first().ok_or_else(|| CallError::never("Shopee has no item of the product"))?;
    let calls: Vec<_> = items.iter().map(|item| call_it(api, *item, &ask.words.title)).collect();
    let done: Vec<Result<(), CallError>> = stream::iter(calls).buffered(CALLS_AT_ONCE).collect().await;
    done.into_iter().collect::<Result<(), CallError>>()?;
    shown(api, first).await
}

/// Unlists the items of a product, so that nobody can buy them. They stay in the seller's list and can be listed again.
pub(in super::super) async fn take_off(api: &Api, handles: &[Handle]) -> Result<(), CallError> {
    let items = items(handles.iter())?;
    let mut open: Vec<&[i64]> = items.chunks(BATCH_MAX).collect();
    while let Some(items) = open.pop() {
        match unlist_once(api, items).await {
            Ok(lists) => items.iter().try_for_each(|item| lists.settled(*item))?,
            // One that is not there may spoil the call for the others.
            Err(refusal) if refusal.name == NOT_FOUND && items.len() > 1 => {
                let (first, second) = items.split_at(items.len() / 2);
                open.extend([second, first]);
            }
            Err(refusal) if refusal.name == NOT_FOUND => {}
            Err(refusal) => return Err(refusal.error),
        }
    }
    Ok(())
}

/// The items that variants are of, each once.
fn items<'h>(handles: impl Iterator<Item = &'h Handle>) -> Result<Vec<i64>, CallError> {
    let items = handles.map(|handle| Model::of(handle).map(|model| model.item));
    let items: BTreeSet<i64> = items.collect::<Result<_, CallError>>()?;
    Ok(items.into_iter().collect())
}

async fn call_it(api: &Api, item: i64, title: &str) -> Result<(), CallError> {
    let body = json!({ "item_id": item, "item_name": title });
    let answer = api.write(changes(api, DESCRIBED, &body)?).await?;
    let response = understood(api, &answer)?.whole().map_err(|refusal| refusal.error)?;
    match response.get("item_id").and_then(read::whole) {
        Some(told) if told == item => Ok(()),
        _ => Err(untold()),
    }
}

/// What describes an item there, as looks tell it.
async fn shown(api: &Api, item: i64) -> Result<Words, CallError> {
    let call = shows(api, SHOWN, &format!("item_id_list={item}"))?;
    let response = understood(api, &api.read(call).await?)?.whole().map_err(|refusal| refusal.error)?;
    let words = look::words(&ExternalId::from(item.unsigned_abs()), response);
    words.ok().flatten().ok_or_else(|| CallError::failed("Shopee's answer does not show the item"))
}

async fn unlist_once(api: &Api, items: &[i64]) -> Result<Lists, Refusal> {
    let list: Vec<Value> = items.iter().map(|item| json!({ "item_id": item, "unlist": true })).collect();
    let answer = api.write(changes(api, UNLISTED, &json!({ "item_list": list }))?).await?;
    let said = understood(api, &answer)?;
    let lists: Lists = serde_json::from_value(said.response).unwrap_or_default();
    match said.refusal {
        // When all fail there is an error as well, and the lists say why each of them did.
        Some(refusal) if lists.failure_list.as_ref().is_none_or(Vec::is_empty) => Err(refusal),
        _ => Ok(lists),
    }
}

impl Lists {
    /// Whether an item is off now. (Assumed: that one which is not there has failed in words that say so.)
    fn settled(&self, item: i64) -> Result<(), CallError> {
        if let Some(failed) = of(self.failure_list.as_ref(), item) {
            let why = failed["failed_reason"].as_str().unwrap_or_default();
            let gone = why.to_ascii_lowercase().contains("not found");
            return if gone { Ok(()) } else { Err(reason(why)) };
        }
        let done = of(self.success_list.as_ref(), item).ok_or_else(untold)?;
        if done.get("unlist").is_none_or(look::yes) { Ok(()) } else { Err(untold()) }
    }
}

/// What is said of an item.
fn of(list: Option<&Vec<Value>>, item: i64) -> Option<&Value> {
    let of_it = |entry: &&Value| entry.get("item_id").and_then(read::whole) == Some(item);
    list.into_iter().flatten().find(of_it)
}

fn untold() -> CallError {
    CallError::failed("Shopee's answer does not say what became of it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_off_if_that_is_said_and_only_then() {
        let said = |lists: Value| serde_json::from_value::<Lists>(lists).expect("lists").settled(7);
        for lists in [
            json!({ "success_list": [{ "item_id": "7", "unlist": true }] }),
            json!({ "success_list": [{ "item_id": 7 }] }),
            json!({ "failure_list": [{ "item_id": 7, "failed_reason": "Product not found" }] }),
        ] {
            assert_eq!(said(lists.clone()), Ok(()), "{lists}");
        }
        for lists in [
            json!({}),
            json!({ "success_list": [{ "item_id": 8, "unlist": true }, 7] }),
            json!({ "success_list": [{ "item_id": 7, "unlist": false }] }),
        ] {
            assert!(said(lists.clone()).is_err_and(|error| error.is_failure()), "{lists}");
        }
        let held =
            said(json!({ "failure_list": [{ "item_id": 7, "failed_reason": "held by a promotion" }] }));
        assert!(matches!(held, Err(CallError::Never { .. })), "{held:?}");
    }
}

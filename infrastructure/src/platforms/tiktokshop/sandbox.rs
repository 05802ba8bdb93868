//! A stand-in for `TikTok` Shop: the signed calls of one shop's API, and its notices.
//!
//! Signing is written anew here, so that it checks the adapter's instead of repeating it.

mod answers;
mod changes;
mod edits;
mod notices;

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use super::super::sandbox::{Good, Happened, Parcel, Reply, Request, Shop, Wire};

/// `TikTok` Shop's words.
#[derive(Debug)]
pub(in super::super) struct TiktokShop;

impl Wire for TiktokShop {
    fn answer(&self, shop: &mut Shop, request: &Request) -> Reply {
        answers::answer(shop, request)
    }

    /// As HTTP 429 where it is to be said how long to wait; otherwise in the body alone, as it also comes.
    fn throttled(&self, after: Option<Duration>) -> Reply {
        let reply = |status| refused(status, 36_009_002, "these are too many calls");
        match after {
            Some(after) => reply(429).header("retry-after", &(after.as_secs_f64().ceil())),
            None => reply(200),
        }
    }

    fn tell(&self, shop: &Shop, happened: &Happened) -> Vec<Parcel> {
        notices::tell(shop, *happened)
    }

    /// A SKU's id is also the handle on its stock.
    fn handle(&self, good: &Good) -> (String, String, Option<String>) {
        (good.product.clone(), good.variant.clone(), Some(good.variant.clone()))
    }
}

fn refused(status: u16, code: i64, message: &str) -> Reply {
    let body = json!({ "code": code, "message": message, "data": null, "request_id": "20260101000000" });
    Reply::with_status(status, body)
}

/// HMAC-SHA256 in lower-case hexadecimal digits.
fn signature(secret: &str, message: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(message);
    hex::encode(mac.finalize().into_bytes())
}

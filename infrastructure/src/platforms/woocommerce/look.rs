//! Products of a `WooCommerce` shop, and the variations of one, which its webhook only counts up.
//!
//! A hint at a product is its id. A hint at its variations is the id, a slash and the page, of which each shows a hundred,
//! and then, in base64, what the product is called: the list of its variations does not say that.

use axum::http::Method;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use chrono::{DateTime, Utc};
use onhand_domain::{
    catalog::ObservedProduct,
    connection::ConnectionDetails,
    product::{ProductDetails, VARIANTS_MAX},
    values::ExternalId,
};
use serde::Deserialize;

use super::{
    super::{
        adapter::{Access, Call, Hint},
        fact::{Fact, Undecodable},
        read,
    },
    inbound::bodies::Product,
};
use crate::secrets::Secret;

/// The most variations that are shown at once.
const PAGE: usize = 100;
/// The most pages there are of a product that has as many variants as one may have.
const PAGES_MAX: usize = VARIANTS_MAX.div_ceil(PAGE);
/// Bytes of a title that a hint has room for, beside an id of twenty digits and a page, in the 255 of an id.
const TITLE_MAX: usize = 168;
/// What is read of a product. There is far more to one, and its description may be as long as a book.
const FIELDS: &str = "id,parent_id,type,status,name,sku,price,regular_price,manage_stock,stock_quantity,\
                      variations,attributes,categories,tags,date_modified_gmt";

/// What a hint means.
enum Place {
    /// A product by itself.
    Whole(ExternalId),
    /// A page of its variations.
    Variations { product: ExternalId, page: usize, title: Option<String> },
}

/// The call that shows a product, or lists its variations.
///
/// The token is the pair of keys that the shop gives out for its API, with a colon between them.
pub(super) fn call(hint: &Hint, access: &Access<'_>) -> Option<Call> {
    let asked = match place_of(hint)? {
        Place::Whole(product) => format!("{product}?_fields={FIELDS}"),
        Place::Variations { product, page, .. } => {
            let further = if page > 1 { format!("&page={page}") } else { String::new() };
            format!("{product}/variations?per_page={PAGE}{further}")
        }
    };
    Some(Call {
        method: Method::GET,
        target: format!("/wp-json/wc/v3/products/{asked}"),
        headers: vec![authorization(access.token)?],
        body: None,
    })
}

/// The header that lets a call in; none where the token is not a pair of keys.
pub(super) fn authorization(token: Option<&Secret>) -> Option<(&'static str, String)> {
    let keys = token.map(Secret::reveal).filter(|keys| keys.contains(':'))?;
    Some(("authorization", format!("Basic {}", STANDARD.encode(keys))))
}

/// A hint's name of a page of a product's variations.
pub(super) fn place(
    product: &ExternalId,
    page: usize,
    title: Option<&str>,
) -> Result<ExternalId, Undecodable> {
    let title = title.map(|title| format!("/{}", URL_SAFE_NO_PAD.encode(carried(title))));
    let named = format!("{product}/{page}{}", title.unwrap_or_default());
    ExternalId::new(&named).map_err(|wrong| Undecodable(wrong.to_string()))
}

/// A title as far as a hint has room for it.
pub(super) fn carried(title: &str) -> &str {
    let end = (0..=TITLE_MAX.min(title.len())).rev().find(|end| title.is_char_boundary(*end));
    &title[..end.unwrap_or_default()]
}

/// What a hint means. The ids of the platform are numbers.
fn place_of(hint: &Hint) -> Option<Place> {
    let mut steps = hint.external.as_str().splitn(3, '/');
    let (product, page, title) = (steps.next()?, steps.next(), steps.next());
    let number = !product.is_empty() && product.bytes().all(|byte| byte.is_ascii_digit());
    let product = ExternalId::new(product).ok().filter(|_| hint.resource == "product" && number)?;
    let Some(page) = page else { return Some(Place::Whole(product)) };
    let page = page.parse::<usize>().ok().filter(|page| (1..=PAGES_MAX).contains(page))?;
    let title = title.and_then(|title| URL_SAFE_NO_PAD.decode(title).ok());
    let title = title.and_then(|title| String::from_utf8(title).ok()).filter(|title| !title.is_empty());
    Some(Place::Variations { product, page, title })
}

/// What the shop answers instead.
#[derive(Deserialize)]
struct Refused {
    code: String,
    message: Option<String>,
}

/// What an answer says.
pub(super) fn seen(
    hint: &Hint,
    body: &[u8],
    at: DateTime<Utc>,
    details: &ConnectionDetails,
) -> Result<Vec<Fact>, Undecodable> {
    let (product, seen) = match place_of(hint) {
        None => return Ok(vec![]),
        Some(Place::Whole(product)) => {
            let seen = read::json::<Product>(body).and_then(|it| it.facts(at, details.currency));
            (product, seen)
        }
        Some(Place::Variations { product, page, title }) => {
            let listed = read::json::<Vec<Product>>(body);
            let seen = listed.and_then(|them| variations(&product, page, title, &them, at, details));
            (product, seen)
        }
    };
    seen.or_else(|wrong| refused(product, body, wrong))
}

/// What a list of variations says.
///
/// It is of the time of the call, because the product itself, and when it changed, are not shown.
fn variations(
    product: &ExternalId,
    page: usize,
    title: Option<String>,
    variations: &[Product],
    at: DateTime<Utc>,
    details: &ConnectionDetails,
) -> Result<Vec<Fact>, Undecodable> {
    read::within(variations.len(), VARIANTS_MAX, "variations")?;
    if variations.is_empty() {
        return Ok(vec![]);
    }
    let more = variations.len() >= PAGE;
    let next = place(product, page + 1, title.as_deref())?;
    let title = title.unwrap_or_default();
    let mut facts = vec![Fact::Product(ObservedProduct {
        external: product.clone(),
        details: ProductDetails { title, ..ProductDetails::default() },
        variants: variations.iter().map(|variation| variation.variant(details.currency)).collect(),
        complete: page == 1 && !more,
        at,
    })];
    for variation in variations {
        facts.extend(variation.stock()?);
    }
    if more && page < PAGES_MAX {
        facts.push(Fact::Hint(Hint { resource: "product", external: next }));
    }
    Ok(facts)
}

/// A product that is not there any more is told apart from a shop that does not let us look.
fn refused(product: ExternalId, body: &[u8], wrong: Undecodable) -> Result<Vec<Fact>, Undecodable> {
    let Ok(refused) = read::json::<Refused>(body) else { return Err(wrong) };
    // Another 404 says that there is no such route, and nothing about the product.
    if refused.code.starts_with("woocommerce_rest_") && refused.code.ends_with("invalid_id") {
        return Ok(vec![Fact::ProductRemoved { external: product }]);
    }
    let why = format!("the shop answers {}: {}", refused.code, refused.message.unwrap_or_default());
    Err(Undecodable(why.chars().take(300).collect()))
}

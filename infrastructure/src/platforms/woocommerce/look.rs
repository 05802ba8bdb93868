//! Products of a `WooCommerce` shop, and the variations of one, which its webhook only counts up.
//!
//! A hint at a product is its id. A hint at its variations is the id, a slash and the page, of which each shows a hundred;
//! what the product is called goes along, because the list of its variations does not say that.

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
        adapter::{Access, Call, Hint, Titled},
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
/// What is read of a product. There is far more to one, and its description may be as long as a book.
const FIELDS: &str = "id,parent_id,type,status,name,sku,price,regular_price,manage_stock,stock_quantity,\
                      variations,attributes,categories,tags,date_modified_gmt";

/// What a hint means.
enum Place {
    /// A product by itself.
    Whole(ExternalId),
    /// A page of its variations; with the title, in a hint of an older program, which does not say since when.
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

/// The hint at a page of a product's variations.
pub(super) fn page_of(product: &ExternalId, page: usize, titled: Titled) -> Result<Hint, Undecodable> {
    let external = ExternalId::new(&format!("{product}/{page}"));
    let external = external.map_err(|wrong| Undecodable(wrong.to_string()))?;
    Ok(Hint { resource: "product", external, titled: Some(titled) })
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
            let older = || Titled { title: title.unwrap_or_default(), at };
            let mut titled = hint.titled.clone().unwrap_or_else(older);
            titled.at = titled.at.min(at);
            let listed = read::json::<Vec<Product>>(body);
            let seen = listed.and_then(|them| variations(&product, page, titled, &them, details));
            (product, seen)
        }
    };
    seen.or_else(|wrong| refused(product, body, wrong))
}

/// What a list of variations says.
///
/// It is of the time at which the product was called so, although the variations are of this moment: a title that has waited
/// must not be taken for one of today, and a product that has changed since is hinted at once more.
fn variations(
    product: &ExternalId,
    page: usize,
    titled: Titled,
    variations: &[Product],
    details: &ConnectionDetails,
) -> Result<Vec<Fact>, Undecodable> {
    read::within(variations.len(), VARIANTS_MAX, "variations")?;
    if variations.is_empty() {
        return Ok(vec![]);
    }
    let more = variations.len() >= PAGE;
    let next = page_of(product, page + 1, titled.clone())?;
    let Titled { title, at } = titled;
    let mut facts = vec![Fact::Product(ObservedProduct {
        external: product.clone(),
        details: ProductDetails { title, ..ProductDetails::default() },
        told: vec![],
        variants: variations.iter().map(|variation| variation.variant(details.currency)).collect(),
        complete: page == 1 && !more,
        at,
    })];
    for variation in variations {
        facts.extend(variation.stock()?);
    }
    if more && page < PAGES_MAX {
        facts.push(Fact::Hint(next));
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

//! The variations of a `WooCommerce` product, which its webhook only counts up.
//!
//! The shop shows a hundred at once. A hint at a further page is the product's id, a slash, and the page.

use axum::http::Method;
use base64::{Engine, engine::general_purpose::STANDARD};
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

/// The call that lists a product's variations.
///
/// The token is the pair of keys that the shop gives out for its API, with a colon between them.
pub(super) fn call(hint: &Hint, access: &Access<'_>) -> Option<Call> {
    let (product, page) = place(hint)?;
    let authorization = authorization(access.token)?;
    let further = if page > 1 { format!("&page={page}") } else { String::new() };
    Some(Call {
        method: Method::GET,
        target: format!("/wp-json/wc/v3/products/{product}/variations?per_page={PAGE}{further}"),
        headers: vec![authorization],
        body: None,
    })
}

/// The header that lets a call in; none where the token is not a pair of keys.
pub(super) fn authorization(token: Option<&Secret>) -> Option<(&'static str, String)> {
    let keys = token.map(Secret::reveal).filter(|keys| keys.contains(':'))?;
    Some(("authorization", format!("Basic {}", STANDARD.encode(keys))))
}

/// The product and the page that a hint means. The ids of the platform are numbers.
fn place(hint: &Hint) -> Option<(&str, usize)> {
    let named = hint.external.as_str();
    let (product, page) = named.split_once('/').unwrap_or((named, "1"));
    let page = page.parse::<usize>().ok().filter(|page| (1..=PAGES_MAX).contains(page))?;
    let number = !product.is_empty() && product.bytes().all(|byte| byte.is_ascii_digit());
    (hint.resource == "product" && number).then_some((product, page))
}

/// What the shop answers instead of a list.
#[derive(Deserialize)]
struct Refused {
    code: String,
    message: Option<String>,
}

/// What a list of variations says.
///
/// It is of the time of the call, because the product itself, and when it changed, are not shown.
pub(super) fn seen(
    hint: &Hint,
    body: &[u8],
    at: DateTime<Utc>,
    details: &ConnectionDetails,
) -> Result<Vec<Fact>, Undecodable> {
    let Some((product, page)) = place(hint) else { return Ok(vec![]) };
    let product = id(product)?;
    let variations = match read::json::<Vec<Product>>(body) {
        Ok(variations) => variations,
        Err(wrong) => return refused(product, body, wrong),
    };
    read::within(variations.len(), VARIANTS_MAX, "variations")?;
    let Some(first) = variations.first() else { return Ok(vec![]) };
    let more = variations.len() >= PAGE;
    let mut facts = vec![Fact::Product(ObservedProduct {
        external: product.clone(),
        details: ProductDetails {
            title: first.title().unwrap_or_else(|| product.to_string()),
            ..ProductDetails::default()
        },
        variants: variations.iter().map(|variation| variation.variant(details.currency)).collect(),
        complete: page == 1 && !more,
        at,
    })];
    for variation in &variations {
        facts.extend(variation.stock()?);
    }
    if more && page < PAGES_MAX {
        let external = id(&format!("{product}/{}", page + 1))?;
        facts.push(Fact::Hint(Hint { resource: "product", external }));
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

fn id(text: &str) -> Result<ExternalId, Undecodable> {
    ExternalId::new(text).map_err(|wrong| Undecodable(wrong.to_string()))
}

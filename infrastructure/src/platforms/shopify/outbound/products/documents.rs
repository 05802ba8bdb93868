//! What a shop is asked about whole products, and what it answers.
//!
//! Shapes are those of recordings of versions 2025-01 and 2026-04 (`fixtures/conformance` of `airhorns/shopify-draft-proxy`).
//! Unsure, because seen in clients only: the code `HANDLE_NOT_UNIQUE` of a page's name that is taken, and that `APP` are the
//! publications of sales channels, where those of markets and of companies have other catalogues.

use onhand_domain::{product::Words, values::ExternalId};
use serde::Deserialize;

use super::{
    super::{
        super::super::outbound::{CallError, Handle, VariantAsk},
        super::inbound::bodies,
        call::UserError,
    },
    lacking,
};

/// What is read of a product. Of sales channels also those count on which it is to be later.
macro_rules! product {
    () => {
        "{ id title handle vendor productType tags status options { name }
        resourcePublicationsCount(onlyPublished: false) { count } }"
    };
}

pub(super) const FIND: &str = concat!(
    "query OnhandFindVariants($query: String!, $first: Int!, $after: String, $ids: [ID!]!) {
    productVariants(first: $first, after: $after, query: $query) {
        nodes { ...variant } pageInfo { hasNextPage endCursor }
    }
    nodes(ids: $ids) { ... on ProductVariant { ...variant } }
    publications(first: 20, catalogType: APP) { nodes { id } }
}
fragment variant on ProductVariant { id sku inventoryItem { id } product ",
    product!(),
    " }"
);

pub(super) const FIND_FAMILY: &str = concat!(
    "query OnhandFindProduct($identifier: ProductIdentifierInput!, $first: Int!, $after: String) {
    productByIdentifier(identifier: $identifier) {
        variants(first: $first, after: $after) {
            nodes { id sku inventoryItem { id } product ",
    product!(),
    " }
            pageInfo { hasNextPage endCursor }
        }
    }
}"
);

pub(super) const READ_TAGS: &str = "query OnhandReadTags($id: ID!) {
    productByIdentifier(identifier: {id: $id}) { tags }
}";

pub(super) const MAKE: &str = concat!(
    "mutation OnhandMakeProduct($product: ProductSetInput!, $first: Int!) {
    productSet(synchronous: true, input: $product) {
        product { variants(first: $first) { nodes { id sku inventoryItem { id } product ",
    product!(),
    " } } }
        userErrors { field message code }
    }
}"
);

pub(super) const ADD: &str = concat!(
    "mutation OnhandAddVariants($product: ID!, $variants: [ProductVariantsBulkInput!]!) {
    productVariantsBulkCreate(productId: $product, variants: $variants, strategy: PRESERVE_STANDALONE_VARIANT) {
        productVariants { id sku inventoryItem { id } product ",
    product!(),
    " }
        userErrors { field message code }
    }
}"
);

pub(super) const CHANGE: &str = concat!(
    "mutation OnhandChangeProduct($product: ProductUpdateInput!) {
    productUpdate(product: $product) { product ",
    product!(),
    " userErrors { field message } }
}"
);

pub(super) const PUBLISH: &str =
    "mutation OnhandPublishProduct($product: ID!, $input: [PublicationInput!]!) {
    publishablePublish(id: $product, input: $input) { userErrors { field message } }
}";

#[derive(Deserialize)]
pub(super) struct Nodes<T> {
    pub(super) nodes: Vec<T>,
}

/// Some of a list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    pub(super) nodes: Vec<Variant>,
    page_info: PageInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

impl Page {
    /// After what there is more of it.
    pub(super) fn more(&mut self) -> Option<String> {
        let PageInfo { has_next_page, end_cursor } = &mut self.page_info;
        end_cursor.take().filter(|_| *has_next_page)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Found {
    pub(super) product_variants: Page,
    pub(super) nodes: Vec<Option<Variant>>,
    pub(super) publications: Nodes<Named>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Named {
    pub(super) id: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Variant {
    pub(super) id: String,
    pub(super) sku: Option<String>,
    pub(super) inventory_item: Named,
    pub(super) product: Product,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Product {
    pub(super) id: String,
    pub(super) title: String,
    /// The name of its page.
    pub(super) handle: String,
    pub(super) vendor: Option<String>,
    pub(super) product_type: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) status: String,
    pub(super) options: Vec<ProductOption>,
    pub(super) resource_publications_count: Option<Count>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct ProductOption {
    pub(super) name: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Count {
    pub(super) count: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FoundFamily {
    pub(super) product_by_identifier: Option<Family>,
}

#[derive(Deserialize)]
pub(super) struct Family {
    pub(super) variants: Page,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadTags {
    pub(super) product_by_identifier: Option<Tagged>,
}

#[derive(Deserialize)]
pub(super) struct Tagged {
    pub(super) tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Made {
    pub(super) product_set: MadeProduct,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MadeProduct {
    pub(super) product: Option<NewFamily>,
    pub(super) user_errors: Vec<UserError>,
}

#[derive(Deserialize)]
pub(super) struct NewFamily {
    pub(super) variants: Nodes<Variant>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Added {
    pub(super) product_variants_bulk_create: AddedVariants,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AddedVariants {
    pub(super) product_variants: Option<Vec<Variant>>,
    pub(super) user_errors: Vec<UserError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Changed {
    pub(super) product_update: ChangedProduct,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChangedProduct {
    pub(super) product: Option<Product>,
    pub(super) user_errors: Vec<UserError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Published {
    pub(super) publishable_publish: PublishedProduct,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PublishedProduct {
    pub(super) user_errors: Vec<UserError>,
}

impl Product {
    pub(super) fn is(&self, status: &str) -> bool {
        self.status == status
    }

    /// What is for sale comes before what is being prepared, and that before what is put away.
    pub(super) fn rank(&self) -> u8 {
        match self.status.as_str() {
            "ACTIVE" => 0,
            "DRAFT" => 1,
            _ => 2,
        }
    }

    /// Whether it is on no sales channel, and is not to be on one later.
    pub(super) fn is_nowhere(&self) -> bool {
        self.resource_publications_count.as_ref().is_some_and(|known| known.count == 0)
    }

    /// As webhooks make it known.
    pub(super) fn words(&self) -> Words {
        let Self { title, vendor, product_type, tags, .. } = self;
        bodies::described(title, vendor.clone(), product_type.clone(), &tags.join(", ")).words()
    }
}

impl Variant {
    pub(super) fn is(&self, variant: &VariantAsk) -> bool {
        self.sku.as_deref() == Some(variant.sku.as_str())
    }

    pub(super) fn handle(&self) -> Result<Handle, CallError> {
        Ok(Handle {
            product: number(&self.product.id)?,
            variant: number(&self.id)?,
            inventory: Some(number(&self.inventory_item.id)?),
        })
    }
}

/// The number at the end of a global id, by which webhooks make a thing known.
fn number(gid: &str) -> Result<ExternalId, CallError> {
    let number = gid.rsplit('/').next().and_then(|number| number.parse::<u64>().ok());
    number.map(ExternalId::from).ok_or_else(|| lacking("its ids"))
}

//! The part of the Admin schema the shop serves, as two tables, and the check of values against it.
//! A static schema lets a document with a wrong field be refused before any of it is applied.

use serde_json::{Value, json};

use super::money::Money;

/// The topics that can be subscribed to, as headers spell them; the shop itself speaks of the first seven.
const TOPICS: &str = "products/create products/update products/delete inventory_levels/update \
    inventory_levels/disconnect orders/create orders/cancelled inventory_levels/connect \
    inventory_items/create inventory_items/update inventory_items/delete variants/in_stock \
    variants/out_of_stock orders/updated orders/paid orders/edited orders/fulfilled \
    refunds/create app/uninstalled shop/update";

/// Every reason the platform accepts for a change of stock.
pub(super) const REASONS: &str = "correction cycle_count_available damaged movement_canceled movement_created \
    movement_received movement_updated other promotion quality_control received reservation_created \
    reservation_deleted reservation_updated restock safety_stock shrinkage";

/// Object types and their fields, each with its type unless that is a scalar.
const OBJECTS: &[(&str, &str)] = &[
    (
        "QueryRoot",
        "nodes:Node productVariants:ProductVariantConnection productByIdentifier:Product shop:Shop \
         locations:LocationConnection publications:PublicationConnection \
         webhookSubscriptions:WebhookSubscriptionConnection",
    ),
    (
        "Mutation",
        "inventorySetQuantities:InventorySetQuantitiesPayload \
         productVariantsBulkUpdate:ProductVariantsBulkUpdatePayload \
         productVariantsBulkCreate:ProductVariantsBulkCreatePayload \
         productSet:ProductSetPayload productUpdate:ProductUpdatePayload \
         publishablePublish:PublishablePublishPayload \
         webhookSubscriptionCreate:WebhookSubscriptionCreatePayload \
         webhookSubscriptionDelete:WebhookSubscriptionDeletePayload",
    ),
    ("Node", "id"),
    ("ProductVariantConnection", "nodes:ProductVariant edges:ProductVariantEdge pageInfo:PageInfo"),
    ("ProductVariantEdge", "cursor node:ProductVariant"),
    ("LocationConnection", "nodes:Location edges:LocationEdge pageInfo:PageInfo"),
    ("LocationEdge", "cursor node:Location"),
    ("PublicationConnection", "nodes:Publication edges:PublicationEdge pageInfo:PageInfo"),
    ("PublicationEdge", "cursor node:Publication"),
    ("Publication", "id name"),
    (
        "WebhookSubscriptionConnection",
        "nodes:WebhookSubscription edges:WebhookSubscriptionEdge pageInfo:PageInfo",
    ),
    ("WebhookSubscriptionEdge", "cursor node:WebhookSubscription"),
    ("PageInfo", "hasNextPage hasPreviousPage startCursor endCursor"),
    ("Shop", "id name myshopifyDomain currencyCode"),
    ("Location", "id legacyResourceId name isActive"),
    (
        "Product",
        "id legacyResourceId title handle vendor productType tags status totalInventory \
         tracksInventory createdAt updatedAt options:ProductOption resourcePublicationsCount:Count \
         variants:ProductVariantConnection",
    ),
    ("ProductOption", "name position"),
    ("Count", "count precision"),
    (
        "ProductVariant",
        "id legacyResourceId sku title displayName price compareAtPrice inventoryPolicy \
         inventoryQuantity updatedAt inventoryItem:InventoryItem product:Product",
    ),
    ("InventoryItem", "id legacyResourceId sku tracked updatedAt inventoryLevel:InventoryLevel"),
    ("InventoryLevel", "id updatedAt location:Location quantities:InventoryQuantity"),
    ("InventoryQuantity", "name quantity updatedAt"),
    (
        "InventorySetQuantitiesPayload",
        "inventoryAdjustmentGroup:InventoryAdjustmentGroup userErrors:UserErrorWithCode",
    ),
    ("InventoryAdjustmentGroup", "id createdAt reason referenceDocumentUri changes:InventoryChange"),
    ("InventoryChange", "name delta quantityAfterChange item:InventoryItem location:Location"),
    (
        "ProductVariantsBulkUpdatePayload",
        "product:Product productVariants:ProductVariant userErrors:UserErrorWithCode",
    ),
    (
        "ProductVariantsBulkCreatePayload",
        "product:Product productVariants:ProductVariant userErrors:UserErrorWithCode",
    ),
    ("ProductSetPayload", "product:Product userErrors:UserErrorWithCode"),
    // Their errors have no code.
    ("ProductUpdatePayload", "product:Product userErrors:UserError"),
    ("PublishablePublishPayload", "publishable:Product shop:Shop userErrors:UserError"),
    ("WebhookSubscriptionCreatePayload", "webhookSubscription:WebhookSubscription userErrors:UserError"),
    ("WebhookSubscriptionDeletePayload", "deletedWebhookSubscriptionId userErrors:UserError"),
    (
        "WebhookSubscription",
        "id legacyResourceId topic uri format includeFields createdAt updatedAt \
         endpoint:WebhookSubscriptionEndpoint",
    ),
    ("WebhookSubscriptionEndpoint", ""),
    ("WebhookHttpEndpoint", "callbackUrl"),
    ("UserError", "field message"),
    ("UserErrorWithCode", "field message code"),
];

/// Input types, and the arguments of the fields that take any.
const INPUTS: &[(&str, &str)] = &[
    ("QueryRoot.nodes", "ids:[ID!]!"),
    ("QueryRoot.productVariants", "first:Int after:String query:String"),
    ("QueryRoot.locations", "first:Int after:String"),
    ("QueryRoot.publications", "first:Int after:String catalogType:CatalogType"),
    ("Product.resourcePublicationsCount", "onlyPublished:Boolean"),
    ("QueryRoot.productByIdentifier", "identifier:ProductIdentifierInput!"),
    ("Product.variants", "first:Int after:String"),
    ("QueryRoot.webhookSubscriptions", "first:Int after:String"),
    ("InventoryItem.inventoryLevel", "locationId:ID!"),
    ("InventoryLevel.quantities", "names:[String!]!"),
    ("Mutation.inventorySetQuantities", "input:InventorySetQuantitiesInput!"),
    (
        "Mutation.productVariantsBulkUpdate",
        "productId:ID! variants:[ProductVariantsBulkInput!]! allowPartialUpdates:Boolean",
    ),
    (
        "Mutation.productVariantsBulkCreate",
        "productId:ID! variants:[ProductVariantsBulkInput!]! strategy:ProductVariantsBulkCreateStrategy",
    ),
    ("Mutation.productSet", "input:ProductSetInput! synchronous:Boolean"),
    ("Mutation.productUpdate", "product:ProductUpdateInput!"),
    ("Mutation.publishablePublish", "id:ID! input:[PublicationInput!]!"),
    (
        "Mutation.webhookSubscriptionCreate",
        "topic:WebhookSubscriptionTopic! webhookSubscription:WebhookSubscriptionInput!",
    ),
    ("Mutation.webhookSubscriptionDelete", "id:ID!"),
    (
        "InventorySetQuantitiesInput",
        "name:String! reason:String! referenceDocumentUri:String \
         quantities:[InventorySetQuantityInput!]!",
    ),
    ("InventorySetQuantityInput", "inventoryItemId:ID! locationId:ID! quantity:Int! changeFromQuantity:Int"),
    (
        "ProductVariantsBulkInput",
        "id:ID price:Money compareAtPrice:Money inventoryPolicy:ProductVariantInventoryPolicy \
         inventoryItem:InventoryItemInput optionValues:[VariantOptionValueInput!] \
         inventoryQuantities:[InventoryLevelInput!]",
    ),
    ("InventoryLevelInput", "availableQuantity:Int! locationId:ID!"),
    ("VariantOptionValueInput", "optionName:String name:String"),
    ("ProductIdentifierInput", "id:ID handle:String"),
    ("PublicationInput", "publicationId:ID"),
    (
        "ProductUpdateInput",
        "id:ID title:String handle:String vendor:String productType:String tags:[String!] status:ProductStatus",
    ),
    (
        "ProductSetInput",
        "title:String handle:String vendor:String productType:String tags:[String!] status:ProductStatus \
         productOptions:[OptionSetInput!] variants:[ProductVariantSetInput!]",
    ),
    ("OptionSetInput", "name:String position:Int values:[OptionValueSetInput!]"),
    ("OptionValueSetInput", "name:String"),
    (
        "ProductVariantSetInput",
        "sku:String price:Money optionValues:[VariantOptionValueInput!]! inventoryItem:InventoryItemInput \
         inventoryQuantities:[ProductSetInventoryInput!]",
    ),
    ("ProductSetInventoryInput", "locationId:ID! name:String! quantity:Int!"),
    ("InventoryItemInput", "sku:String tracked:Boolean"),
    (
        "WebhookSubscriptionInput",
        "uri:String callbackUrl:String format:WebhookSubscriptionFormat \
         includeFields:[String!]",
    ),
];

type Table = &'static [(&'static str, &'static str)];

fn look_up(table: Table, name: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == name).map(|(_, fields)| *fields)
}

fn split(fields: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    fields.split_whitespace().map(|field| field.split_once(':').unwrap_or((field, "")))
}

pub(super) fn is_object(kind: &str) -> bool {
    look_up(OBJECTS, kind).is_some()
}

/// The type of an object's field: empty for a scalar, `None` when there is no such field.
pub(super) fn field_type(object: &str, field: &str) -> Option<&'static str> {
    split(look_up(OBJECTS, object)?).find(|(name, _)| *name == field).map(|(_, kind)| kind)
}

/// The arguments of an object's field and their types.
pub(super) fn arguments(object: &str, field: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    split(look_up(INPUTS, &format!("{object}.{field}")).unwrap_or(""))
}

/// Whether an object of this type costs a point; wrappers and plain values are free.
pub(super) fn costs(kind: &str) -> bool {
    const FREE: &[&str] = &[
        "PageInfo",
        "UserError",
        "UserErrorWithCode",
        "InventoryQuantity",
        "InventoryChange",
        "WebhookSubscriptionEndpoint",
        "Count",
    ];
    !["Connection", "Edge", "Payload"].iter().any(|ending| kind.ends_with(ending)) && !FREE.contains(&kind)
}

/// The spelling of a topic in headers, from either spelling.
pub(super) fn topic(name: &str) -> Option<&'static str> {
    TOPICS.split_whitespace().find(|known| *known == name || topic_constant(known) == name)
}

/// The spelling of a topic in GraphQL.
pub(super) fn topic_constant(topic: &str) -> String {
    topic.replace('/', "_").to_uppercase()
}

/// What is wrong with a value, as the platform lists it: a path into the value and an explanation.
pub(super) fn problems(value: &Value, kind: &str) -> Vec<Value> {
    let mut found = Vec::new();
    check(value, kind, &mut Vec::new(), &mut found);
    found
}

fn check(value: &Value, kind: &str, path: &mut Vec<Value>, found: &mut Vec<Value>) {
    let (inner, required) = kind.strip_suffix('!').map_or((kind, false), |inner| (inner, true));
    if value.is_null() {
        if required {
            found.push(problem(path, "A value is required here"));
        }
    } else if let Some(item) = inner.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let Some(items) = value.as_array() else {
            return found.push(problem(path, "A list is required here"));
        };
        for (index, element) in items.iter().enumerate() {
            path.push(json!(index));
            check(element, item, path, found);
            path.pop();
        }
    } else if let Some(fields) = look_up(INPUTS, inner) {
        let Some(object) = value.as_object() else {
            return found.push(problem(path, "An object is required here"));
        };
        for (name, given) in object {
            path.push(json!(name));
            match split(fields).find(|(known, _)| known == name) {
                Some((_, kind)) => check(given, kind, path, found),
                None => found.push(problem(path, &format!("{inner} has no field of this name"))),
            }
            path.pop();
        }
        for (name, kind) in split(fields) {
            if kind.ends_with('!') && !object.contains_key(name) {
                path.push(json!(name));
                found.push(problem(path, "A value is required here"));
                path.pop();
            }
        }
    } else if !is_scalar(value, inner) {
        found.push(problem(path, &format!("{value} is no {inner}")));
    }
}

fn problem(path: &[Value], explanation: &str) -> Value {
    json!({"path": path, "explanation": explanation})
}

fn is_scalar(value: &Value, kind: &str) -> bool {
    match kind {
        "ID" => value.is_string() || value.is_u64(),
        // The platform's Int is 32 bits wide; wider numbers never reach its own checks.
        "Int" => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        "Boolean" => value.is_boolean(),
        "Money" => as_money(value).is_some(),
        "WebhookSubscriptionTopic" => {
            value.as_str().is_some_and(|name| name.contains('_') && topic(name).is_some())
        }
        "WebhookSubscriptionFormat" => value == "JSON",
        "CatalogType" => ["APP", "COMPANY_LOCATION", "MARKET", "NONE"].iter().any(|known| value == known),
        "ProductStatus" => ["ACTIVE", "DRAFT", "ARCHIVED"].iter().any(|known| value == known),
        "ProductVariantsBulkCreateStrategy" => {
            let known = ["DEFAULT", "PRESERVE_STANDALONE_VARIANT", "REMOVE_STANDALONE_VARIANT"];
            known.iter().any(|known| value == known)
        }
        "ProductVariantInventoryPolicy" => value == "DENY" || value == "CONTINUE",
        _ => value.is_string(),
    }
}

/// Money is written as a string, but a bare number is understood too.
pub(super) fn as_money(value: &Value) -> Option<Money> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

//! Products made over the API: what customers see of them, and what the shop refuses.

use super::*;

const SET: &str = "mutation Make($product: ProductSetInput!) {
    productSet(synchronous: true, input: $product) {
        product { id status vendor tags variants(first: 5) { nodes { id sku } } }
        userErrors { field code }
    }
}";

const ADD: &str = "mutation Add(
    $id: ID!, $variants: [ProductVariantsBulkInput!]!, $how: ProductVariantsBulkCreateStrategy
) {
    productVariantsBulkCreate(productId: $id, variants: $variants, strategy: $how) {
        productVariants { sku }
        userErrors { field code }
    }
}";

fn alone(handle: &str, sku: &str) -> Value {
    let value = json!([{"optionName": "Title", "name": "Default Title"}]);
    json!({"product": {
        "title": "Mole", "handle": handle, "tags": [" Low ", "low", "sand"],
        "productOptions": [{"name": "Title", "values": [{"name": "Default Title"}]}],
        "variants": [{"sku": sku, "price": "90", "optionValues": value, "inventoryItem": {"tracked": true}}],
    }})
}

fn skus(shop: &SandboxShop) -> Vec<String> {
    shop.shows().into_iter().map(|shown| shown.sku).skip(2).collect()
}

#[tokio::test]
async fn what_is_made_is_seen_once_it_is_on_a_sales_channel_and_until_it_is_archived() {
    let (shop, _) = open().await;
    let made = ask(&shop, SET, alone("mole", "MOLE")).await["data"]["productSet"]["product"].clone();
    assert_eq!((&made["vendor"], &made["tags"]), (&json!("kicks-and-co"), &json!(["Low", "sand"])));
    assert!(skus(&shop).is_empty() && shop.buy(&[("MOLE".to_owned(), 1)]).await.is_none());
    let publish = "mutation($id: ID!, $input: [PublicationInput!]!) {
        publishablePublish(id: $id, input: $input) { userErrors { field message } } }";
    let input = json!([{"publicationId": "gid://shopify/Publication/1"}]);
    ask(&shop, publish, json!({"id": made["id"], "input": input})).await;
    assert_eq!(skus(&shop), ["MOLE"]);
    let change = "mutation($product: ProductUpdateInput!) {
        productUpdate(product: $product) { product { status } userErrors { field message } } }";
    for (status, seen) in [("ARCHIVED", 0), ("DRAFT", 0), ("ACTIVE", 1)] {
        ask(&shop, change, json!({"product": {"id": made["id"], "status": status}})).await;
        assert_eq!(skus(&shop).len(), seen, "{status}");
    }
    let unknown = json!({"product": {"id": "gid://shopify/Product/1", "title": "Mole"}});
    let refused = ask(&shop, change, unknown).await["data"]["productUpdate"].clone();
    assert_eq!((&refused["product"], &refused["userErrors"][0]["field"]), (&Value::Null, &json!(["id"])));
}

#[tokio::test]
async fn a_handle_is_one_products_and_options_are_one_variants() {
    let (shop, _) = open().await;
    let made = ask(&shop, SET, alone("mole", "MOLE")).await;
    let id = made["data"]["productSet"]["product"]["id"].clone();
    let twice = ask(&shop, SET, alone("mole", "MOLE-2")).await["data"]["productSet"].clone();
    assert_eq!(
        (&twice["product"], &twice["userErrors"][0]["code"]),
        (&Value::Null, &json!("HANDLE_NOT_UNIQUE"))
    );
    let add = async |value: &str, how: &str| {
        let option = json!([{"optionName": "Title", "name": value}]);
        let variants = json!([{"price": "90", "optionValues": option, "inventoryItem": {"sku": value}}]);
        ask(&shop, ADD, json!({"id": id, "variants": variants, "how": how})).await["data"]
            ["productVariantsBulkCreate"]
            .clone()
    };
    let alike = add("Default Title", "PRESERVE_STANDALONE_VARIANT").await;
    assert_eq!(alike["userErrors"][0]["code"], "VARIANT_ALREADY_EXISTS_CHANGE_OPTION_VALUE");
    assert_eq!(add("Wide", "PRESERVE_STANDALONE_VARIANT").await["productVariants"][0]["sku"], "Wide");
    let search = r#"{ productVariants(first: 9, query: "sku:\"MOLE\" OR sku:\"Wide\"") { nodes { sku } } }"#;
    let found = ask(&shop, search, json!({})).await["data"]["productVariants"]["nodes"].clone();
    assert_eq!(found, json!([{"sku": "MOLE"}, {"sku": "Wide"}]));
    let other = ask(&shop, SET, alone("mole-2", "MOLE-2")).await;
    let id = other["data"]["productSet"]["product"]["id"].clone();
    let option = json!([{"optionName": "Title", "name": "Wide"}]);
    let variants = json!([{"price": "90", "optionValues": option, "inventoryItem": {"sku": "WIDE-2"}}]);
    ask(&shop, ADD, json!({"id": id, "variants": variants, "how": "DEFAULT"})).await;
    let search = r#"{ productVariants(first: 9, query: "sku:\"MOLE-2\"") { nodes { sku } } }"#;
    let found = ask(&shop, search, json!({})).await["data"]["productVariants"]["nodes"].clone();
    assert_eq!(found, json!([]), "what had no options made room");
}

use axum::body::Body;
use onhand_tests::{
    World,
    shop::{self, Webhook},
};
use serde_json::{Value, json};

/// A product with one variant, `DUNK-42`. Gives the path of it.
async fn dunk(world: &World) -> String {
    let price = json!({ "US": { "amount": "110.00", "currency": "USD" } });
    let body = json!({
        "title": "Dunk Low", "brand": "kite", "vendor": "Kite & Co", "tags": ["low", "leather"],
        "variants": [{ "sku": "DUNK-42", "attributes": { "size": "42" }, "prices": price }],
    });
    let made = world.admin.post("/api/products", body).await.expect(201);
    format!("/api/products/{}", made["id"].as_str().expect("an id"))
}

async fn show(world: &World, path: &str) -> Value {
    world.admin.get(path).await.expect(200)
}

/// Each variant's SKU with its id, by SKU.
fn skus(product: &Value) -> Vec<(&str, &str)> {
    let variants = product["variants"].as_array().expect("variants");
    let named = variants.iter().map(|it| (it["sku"].as_str(), it["id"].as_str()));
    named.map(|(sku, id)| (sku.expect("a SKU"), id.expect("an id"))).collect()
}

#[tokio::test]
async fn a_product_is_described_as_a_whole_and_what_says_nothing_new_leaves_no_trace() {
    let world = World::new().await;
    let path = dunk(&world).await;
    let body = json!({ "title": "Dunk Low Retro", "brand": "kite", "category": "Sneakers" });
    let once = [("idempotency-key", "retro")];
    let put = async || world.admin.send("PUT", &path, &once, Body::from(body.to_string())).await;
    let first = put().await;
    assert_eq!(first.headers["onhand-position"].to_str().ok(), Some(&*first.body["position"].to_string()));
    let first = first.expect(200);
    assert_eq!(path, format!("/api/products/{}", first["id"].as_str().expect("an id")));
    let again = put().await;
    assert_eq!((again.headers["idempotency-replayed"].to_str().ok(), &again.body), (Some("true"), &first));

    let shown = show(&world, &path).await;
    assert_eq!(
        (&shown["title"], &shown["category"], &shown["vendor"], &shown["tags"]),
        (&json!("Dunk Low Retro"), &json!("Sneakers"), &Value::Null, &json!([]))
    );
    assert_eq!(skus(&shown)[0].0, "DUNK-42");
    let entries = world.history().await.len();
    world.admin.put(&path, body.clone()).await.expect(200);
    assert_eq!(world.history().await.len(), entries);
    let audit = world.admin.get("/api/audit?action=product.described&changes=true").await.expect(200);
    let row = &audit["data"][0];
    assert!(row["actor"].as_str().is_some_and(|actor| actor.starts_with("key:")), "{audit}");
    let title = json!({ "path": "/details/title", "before": "Dunk Low", "after": "Dunk Low Retro" });
    assert!(row["changes"].as_array().expect("a list").contains(&title), "{row}");
}

#[tokio::test]
async fn blanks_around_what_somebody_typed_are_no_part_of_it() {
    let world = World::new().await;
    let body = json!({
        "title": " Dunk Low ", "vendor": " Kite & Co", "category": " ", "style_code": "  ST08592 ",
        "tags": ["low ", "", " "],
        "variants": [{ "sku": "DUNK-42", "attributes": { " size": " 42 ", "colour": "sand dust\t" } }],
    });
    let made = world.admin.post("/api/products", body).await.expect(201);
    let path = format!("/api/products/{}", made["id"].as_str().expect("an id"));
    let shown = show(&world, &path).await;
    assert_eq!(
        (&shown["title"], &shown["vendor"], &shown["category"], &shown["style_code"], &shown["tags"]),
        (&json!("Dunk Low"), &json!("Kite & Co"), &Value::Null, &json!("ST08592"), &json!(["low"]))
    );
    assert_eq!(shown["variants"][0]["attributes"], json!({ "size": "42", "colour": "sand dust" }));

    // What differs in blanks alone says nothing new.
    let entries = world.history().await.len();
    let words =
        json!({ "title": "Dunk Low", "vendor": "Kite & Co ", "style_code": "ST08592\n", "tags": [" low"] });
    world.admin.put(&path, words).await.expect(200);
    let variants = format!("{path}/variants");
    let put = async |attributes: Value| {
        let body = json!({ "variants": [{ "sku": "DUNK-42", "attributes": attributes }] });
        world.admin.post(&variants, body).await
    };
    put(json!({ "size": "42 ", "colour": " sand dust" })).await.expect(200);
    let twice = put(json!({ "size": "42", "size ": "43" })).await;
    assert_eq!(twice.problem(422), "value.invalid");
    assert_eq!(world.history().await.len(), entries);
}

#[tokio::test]
async fn variants_are_added_changed_and_given_other_skus() {
    let world = World::new().await;
    let path = dunk(&world).await;
    world.stocked(&[("OTHER", 1)]).await;
    world.admin.post("/api/stock/restock", json!({ "sku": "DUNK-42", "quantity": 3 })).await.expect(200);
    let before = show(&world, &path).await;
    let (_, old) = skus(&before)[0];
    let variants = format!("{path}/variants");

    let price = json!({ "US": { "amount": "99.00", "currency": "USD" } });
    let body = json!({ "variants": [
        { "sku": "DUNK-42", "attributes": { "size": "42", "colour": "sand" } },
        { "sku": "DUNK-43", "prices": price },
    ] });
    let put = world.admin.post(&variants, body.clone()).await.expect(200);
    let shown = show(&world, &path).await;
    assert_eq!(skus(&put), skus(&shown), "{put}");
    assert_eq!(skus(&shown)[0], ("DUNK-42", old));
    assert_eq!(shown["variants"][0]["attributes"]["colour"], "sand");
    assert_eq!(shown["variants"][0]["prices"]["US"]["minor"], 11_000, "what is not said of prices stays");
    assert_eq!(shown["variants"][1]["prices"]["US"]["minor"], 9_900);
    let entries = world.history().await.len();
    world.admin.post(&variants, body).await.expect(200);
    assert_eq!(world.history().await.len(), entries);

    // Under another SKU it is the same variant, with its stock; the old one is free.
    let renamed = json!({ "variants": [{ "id": old, "sku": "DUNK-SAND-42" }, { "sku": "DUNK-42" }] });
    let put = world.admin.post(&variants, renamed).await.expect(200);
    assert_eq!(put["variants"][0], json!({ "id": old, "sku": "DUNK-SAND-42" }));
    assert_ne!(put["variants"][1]["id"], old);
    assert_eq!(world.levels().await["DUNK-SAND-42"], (3, 0, 3));
    world.admin.post("/api/stock/restock", json!({ "sku": "DUNK-42", "quantity": 1 })).await.expect(200);

    let nobody = "00000000-0000-0000-0000-000000000001";
    let cases = [
        (json!([{ "sku": "OTHER" }]), 409, "sku.taken"),
        (json!([{ "id": old, "sku": "DUNK-43" }]), 409, "sku.taken"),
        (json!([{ "id": nobody, "sku": "NEW" }]), 404, "variant.unknown"),
        (json!([{ "sku": "NEW" }, { "sku": "NEW" }]), 422, "sku.repeated"),
        (json!([]), 422, "product.variants"),
    ];
    let entries = world.history().await.len();
    for (wrong, status, code) in cases {
        let answer = world.admin.post(&variants, json!({ "variants": wrong })).await;
        assert_eq!(answer.problem(status), code, "{wrong}");
    }
    let unknown = format!("/api/products/{nobody}/variants");
    let answer = world.admin.post(&unknown, json!({ "variants": [{ "sku": "NEW" }] })).await;
    assert_eq!(answer.problem(404), "product.unknown");
    assert_eq!(world.history().await.len(), entries, "what is refused leaves no trace");
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn variants_exchange_their_skus_in_one_request_and_each_keeps_its_stock() {
    let world = World::new().await;
    let path = dunk(&world).await;
    let variants = format!("{path}/variants");
    world.admin.post(&variants, json!({ "variants": [{ "sku": "DUNK-43" }] })).await.expect(200);
    world.admin.post("/api/stock/restock", json!({ "sku": "DUNK-42", "quantity": 3 })).await.expect(200);
    let before = show(&world, &path).await;
    let ids: Vec<&str> = skus(&before).into_iter().map(|(_, id)| id).collect();

    let swapped = json!([{ "id": ids[0], "sku": "DUNK-43" }, { "id": ids[1], "sku": "DUNK-42" }]);
    world.admin.post(&variants, json!({ "variants": swapped })).await.expect(200);
    let after = show(&world, &path).await;
    assert_eq!(skus(&after), [("DUNK-42", ids[1]), ("DUNK-43", ids[0])]);
    world.admin.post("/api/stock/restock", json!({ "sku": "DUNK-42", "quantity": 1 })).await.expect(200);
    let levels = world.levels().await;
    assert_eq!((levels["DUNK-42"], levels["DUNK-43"]), ((1, 0, 1), (3, 0, 3)));

    // Handed on, to one that is new at last.
    let shifted =
        json!([{ "id": ids[0], "sku": "DUNK-42" }, { "id": ids[1], "sku": "DUNK-41" }, { "sku": "DUNK-43" }]);
    world.admin.post(&variants, json!({ "variants": shifted })).await.expect(200);
    let after = show(&world, &path).await;
    assert_eq!(skus(&after)[..2], [("DUNK-41", ids[1]), ("DUNK-42", ids[0])]);
    assert!(!ids.contains(&skus(&after)[2].1), "{after}");
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_variant_that_is_given_twice_in_one_request_is_refused_and_named() {
    let world = World::new().await;
    let path = dunk(&world).await;
    let before = show(&world, &path).await;
    let id = skus(&before)[0].1;
    let entries = world.history().await.len();
    for (twice, names) in [
        (json!([{ "id": id, "sku": "A" }, { "id": id, "sku": "B" }]), ["A", "B"]),
        (json!([{ "id": id, "sku": "DUNK-42" }, { "id": id, "sku": "B" }]), ["DUNK-42", "B"]),
        // Without an id it is the one of its SKU.
        (json!([{ "sku": "DUNK-42" }, { "sku": "NEW" }, { "id": id, "sku": "B" }]), ["DUNK-42", "B"]),
    ] {
        let answer = world.admin.post(&format!("{path}/variants"), json!({ "variants": twice })).await;
        let detail = answer.body["detail"].as_str().expect("a detail").to_owned();
        assert_eq!(answer.problem(422), "variant.repeated", "{twice}");
        let told = format!("{id} is given twice, as {} and as {}", names[0], names[1]);
        assert!(detail.contains(&told), "{detail}");
    }
    assert_eq!(world.history().await.len(), entries, "what is refused leaves no trace");
}

#[tokio::test]
async fn an_archived_product_is_out_of_the_catalogue_until_it_is_restored_and_its_stock_stays() {
    let world = World::new().await;
    let path = dunk(&world).await;
    world.admin.post("/api/stock/restock", json!({ "sku": "DUNK-42", "quantity": 3 })).await.expect(200);
    let then = world.history().await.len();
    let archive = async || world.admin.send("DELETE", &path, &[], Body::empty()).await.expect(200);
    let archived = archive().await;
    assert_eq!((&archived["archived"], &archived["position"]), (&json!(true), &json!(then + 1)));
    assert_eq!(archive().await, archived, "it is so already");
    assert_eq!(show(&world, &path).await["archived"], true);
    assert_eq!(show(&world, &format!("{path}?at={then}")).await["archived"], false);

    let described = world.admin.put(&path, json!({ "title": "Dunk", "brand": "kite" })).await;
    assert_eq!(described.problem(409), "product.archived");
    let body = json!({ "variants": [{ "sku": "DUNK-43" }] });
    let variants = world.admin.post(&format!("{path}/variants"), body).await;
    assert_eq!(variants.problem(409), "product.archived");
    world.admin.post("/api/stock/restock", json!({ "sku": "DUNK-42", "quantity": 1 })).await.expect(200);
    assert_eq!(world.levels().await["DUNK-42"], (4, 0, 4));

    let once = [("idempotency-key", "back")];
    let restore = async || world.admin.send("POST", &format!("{path}/restore"), &once, Body::empty()).await;
    let restored = restore().await.expect(200);
    assert_eq!(restored["archived"], false);
    let again = restore().await;
    assert_eq!((again.headers["idempotency-replayed"].to_str().ok(), &again.body), (Some("true"), &restored));
    assert_eq!(show(&world, &path).await["archived"], false);
    world.admin.put(&path, json!({ "title": "Dunk", "brand": "kite" })).await.expect(200);
    let audit = world.admin.get("/api/audit?action=product.restored&changes=true").await.expect(200);
    let row = &audit["data"][0];
    assert!(row["actor"].as_str().is_some_and(|actor| actor.starts_with("key:")), "{audit}");
    assert_eq!(row["changes"], json!([{ "path": "/archived", "before": true, "after": false }]));
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_product_gets_another_brand_only_once_nothing_of_it_is_listed_under_the_one_it_has() {
    let world = World::new().await;
    let path = dunk(&world).await;
    let connection = world.connect(None, json!({})).await;
    let product = shop::product("DUNK", &[("42", "110.00")]);
    Webhook::new("products/update", "p", &product).send(&world.admin, &connection).await.expect(200);
    let before = show(&world, &path).await;
    assert_eq!(before["offers"][0]["connection_id"], connection.as_str());

    let heron = json!({ "title": "Dunk Low", "brand": "heron" });
    assert_eq!(world.admin.put(&path, heron.clone()).await.problem(409), "product.listed_elsewhere");
    world.admin.put(&path, json!({ "title": "Dunk", "brand": "kite" })).await.expect(200);
    let gone = json!({ "id": product["id"] });
    Webhook::new("products/delete", "d", &gone).send(&world.admin, &connection).await.expect(200);
    world.admin.put(&path, heron).await.expect(200);

    // How it stood in the shop of the other brand is none of this one's business.
    let then = world.history().await.len();
    let theirs = world.client("viewer", Some("heron")).await;
    for asked in [path.clone(), format!("{path}?at={then}")] {
        assert_eq!(theirs.get(&asked).await.expect(200)["offers"], json!([]), "{asked}");
        assert_eq!(show(&world, &asked).await["offers"].as_array().map(Vec::len), Some(1), "{asked}");
    }
}

#[tokio::test]
async fn a_sku_that_was_changed_here_is_not_brought_back_by_a_shop_that_goes_on_showing_the_old_one() {
    let world = World::new().await;
    let path = dunk(&world).await;
    let connection = world.connect(None, json!({})).await;
    let mut product = shop::product("DUNK", &[("42", "110.00")]);
    let send = async |id: &str, product: &Value| {
        Webhook::new("products/update", id, product).send(&world.admin, &connection).await.expect(200)
    };
    send("p-1", &product).await;
    let shown = show(&world, &path).await;
    let renamed = json!({ "variants": [{ "id": skus(&shown)[0].1, "sku": "DUNK-SAND-42" }] });
    world.admin.post(&format!("{path}/variants"), renamed).await.expect(200);
    product["updated_at"] = "2026-11-01T13:00:00Z".into();
    send("p-2", &product).await;
    assert_eq!(skus(&show(&world, &path).await)[0].0, "DUNK-SAND-42");

    product["updated_at"] = "2026-11-01T14:00:00Z".into();
    product["variants"][0]["sku"] = "DUNK-LOW-42".into();
    send("p-3", &product).await;
    assert_eq!(skus(&show(&world, &path).await)[0].0, "DUNK-LOW-42");
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn two_products_of_a_shop_that_are_one_here_do_not_take_turns_in_naming_it() {
    let world = World::new().await;
    let body = json!({
        "title": "Runner", "brand": "kite",
        "variants": [{ "sku": "SAND-42" }, { "sku": "SAND-43" }, { "sku": "BLUE-42" }, { "sku": "BLUE-43" }],
    });
    let made = world.admin.post("/api/products", body).await.expect(201);
    let path = format!("/api/products/{}", made["id"].as_str().expect("an id"));
    let connection = world.connect(None, json!({})).await;
    for round in 0..3 {
        for style in ["SAND", "BLUE"] {
            let mut product = shop::product(style, &[("42", "110.00"), ("43", "110.00")]);
            product["title"] = format!("Runner {style}, {round}").into();
            // The second is older each time, and is taken in all the same.
            let hour = 12 + round * 2 - i32::from(style == "BLUE");
            product["updated_at"] = format!("2026-11-01T{hour}:30:00Z").into();
            let id = format!("{style}-{round}");
            Webhook::new("products/update", &id, &product).send(&world.admin, &connection).await.expect(200);
        }
    }
    assert_eq!(show(&world, &path).await["title"], "Runner");
    assert_eq!(world.history().await.iter().filter(|name| *name == "listing.mapped").count(), 4);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_key_of_one_brand_changes_products_of_no_other() {
    let world = World::new().await;
    let kite = dunk(&world).await;
    let heron = world.client("editor", Some("heron")).await;
    let body = json!({ "title": "Heron", "brand": "heron", "variants": [{ "sku": "HERON-1" }] });
    let own = heron.post("/api/products", body).await.expect(201);
    let own = format!("/api/products/{}", own["id"].as_str().expect("an id"));
    let details = |brand: &str| json!({ "title": "Mine now", "brand": brand });

    assert_eq!(heron.put(&kite, details("heron")).await.problem(404), "product.unknown");
    let variants = json!({ "variants": [{ "sku": "HERON-2" }] });
    let put = heron.post(&format!("{kite}/variants"), variants.clone()).await;
    assert_eq!(put.problem(404), "product.unknown");
    let archived = heron.send("DELETE", &kite, &[], Body::empty()).await;
    assert_eq!(archived.problem(404), "product.unknown");
    let shown = show(&world, &kite).await;
    assert_eq!((&shown["title"], &shown["archived"]), (&json!("Dunk Low"), &json!(false)));

    assert_eq!(heron.put(&own, details("kite")).await.problem(403), "brand.forbidden");
    assert_eq!(heron.put(&own, json!({ "title": "Nobody's" })).await.problem(403), "brand.forbidden");
    heron.put(&own, details("heron")).await.expect(200);
    heron.post(&format!("{own}/variants"), variants).await.expect(200);
    heron.send("DELETE", &own, &[], Body::empty()).await.expect(200);
}

#[tokio::test]
async fn what_a_shop_calls_a_product_stands_beside_it_and_counts_once_it_is_changed_there() {
    let world = World::new().await;
    let path = dunk(&world).await;
    let connection = world.connect(None, json!({})).await;
    let mut product = shop::product("DUNK", &[("42", "110.00")]);
    let send = async |id: &str, product: &Value| {
        Webhook::new("products/update", id, product).send(&world.admin, &connection).await.expect(200)
    };
    send("p-1", &product).await;
    let shown = show(&world, &path).await;
    assert_eq!((&shown["title"], &shown["tags"]), (&json!("Dunk Low"), &json!(["low", "leather"])));
    let words = json!({
        "title": "Runner DUNK", "vendor": "Kite & Co", "category": "Sneakers", "tags": ["leather", "low"],
    });
    let offer = json!({ "connection_id": connection, "shown": words, "taken_off": false });
    assert_eq!(shown["offers"], json!([offer]));
    let then = world.history().await.len();

    product["title"] = "Dunk Low Retro".into();
    product["updated_at"] = "2026-11-01T13:00:00Z".into();
    send("p-2", &product).await;
    let renamed = show(&world, &path).await;
    assert_eq!(renamed["title"], "Dunk Low Retro");
    assert_eq!(renamed["category"], Value::Null, "there it was so from the beginning");
    assert_eq!(renamed["offers"][0]["shown"]["title"], "Dunk Low Retro");
    assert_eq!(show(&world, &format!("{path}?at={then}")).await, shown);
    world.expect_rebuilt_equals_live().await;
}

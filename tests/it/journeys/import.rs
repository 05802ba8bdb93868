//! A seller's spreadsheet, brought in by the program itself: checked as a whole, written once, and told line by line.

use std::{fs, process::Stdio};

use chrono::{SecondsFormat, Utc};
use onhand_tests::{
    World,
    process::{binary, master_keys, onhand},
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};

/// As a spreadsheet program on Windows writes it, with one product of two sizes at two locations, and one without a count.
const STOCK: &str = "\u{feff}SKU,Product,Brand,Counted,Location,Price,Currency,Market,Size,attribute:Material\r\n\
    RUN-41,\"Runner, low\",kite,5,,119.90,EUR,FR,41,mesh\r\n\
    RUN-41,,,2,north,129.00,USD,,,\r\n\
    RUN-42,\"Runner, low\",kite,4,,119.90,EUR,FR,42,mesh\r\n\
    \r\n\
    BAG,Bag,,,,,,,,\r\n";

/// Brings in a file. Gives the exit code and what was said on stdout and stderr.
async fn import(world: &World, text: &str, args: &[&str]) -> (i32, String, String) {
    let file = std::env::temp_dir().join(format!("{}-stock.csv", world.database.name));
    fs::write(&file, text).expect("a file of ours can be written");
    let path = file.to_str().expect("a plain name");
    let ended = onhand(world, &[&["import", path][..], args].concat()).await;
    fs::remove_file(file).expect("a file of ours can be removed");
    ended
}

/// The same through standard input.
async fn import_from_stdin(world: &World, text: &str) -> (i32, String, String) {
    let mut child = Command::new(binary())
        .args(["import", "-", "--tenant", "acme"])
        .env("DATABASE_URL", world.database.url())
        .env("ONHAND_MASTER_KEYS", master_keys())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(text.as_bytes()).await.expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().await.expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// What is said in the end, without blanks: products and variants made, variants kept, counted, unchanged, covered, refused.
fn figures(said: &str) -> Vec<(String, i64)> {
    let figure = |line: &str| {
        let (what, number) = line.rsplit_once(' ')?;
        Some((what.trim().to_owned(), number.parse().ok()?))
    };
    said.lines().filter(|line| !line.starts_with(' ')).filter_map(figure).collect()
}

fn expected(made: (i64, i64), kept: i64, counted: i64, unchanged: i64, refused: i64) -> Vec<(String, i64)> {
    let (products, variants) = made;
    [
        ("products made", products),
        ("variants made", variants),
        ("variants kept", kept),
        ("counted", counted),
        ("unchanged", unchanged),
        ("covered", 0),
        ("refused", refused),
    ]
    .map(|(what, number)| (what.to_owned(), number))
    .to_vec()
}

/// The time to go on with, as it was told.
fn named_time(told: &str) -> &str {
    let named = told.rsplit_once("--counted-at ").and_then(|(_, named)| named.split_whitespace().next());
    named.unwrap_or_else(|| panic!("no time is named: {told}"))
}

/// Two units of each are sold, of which no platform tells.
async fn sell_two(world: &World, skus: &[&str]) {
    for sku in skus {
        let sold = json!({ "sku": sku, "delta": -2, "reason": "sold at the counter" });
        world.admin.post("/api/stock/adjust", sold).await.expect(200);
    }
}

async fn execute(world: &World, sql: &'static str) {
    sqlx::raw_sql(sql).execute(&mut world.database.owner().await).await.expect("an owner may");
}

async fn product(world: &World, title: &str) -> Value {
    let page = world.admin.get("/api/products?limit=200").await.expect(200);
    let products = page["data"].as_array().expect("a page has rows");
    let mut found = products.iter().filter(|product| product["title"] == title);
    let product = found.next().unwrap_or_else(|| panic!("there is no {title}: {page}")).clone();
    assert!(found.next().is_none(), "there are two: {page}");
    product
}

#[tokio::test]
async fn a_spreadsheet_is_checked_as_a_whole_brought_in_once_and_told_line_by_line() {
    let world = World::new().await;
    let before = world.history().await;

    // What is wrong is told with its place, and then nothing is written.
    for (wrong, places) in [
        (
            "sku,colr,counted,Sku\nA,red,1,A\n",
            &["line 1, column 2: there is no column \"colr\"", "line 1, column 4"][..],
        ),
        (
            "sku,product,counted,price\r\nA,Runner,5,\r\nB,Runner,five,\r\n,Runner,1,\r\nC,Runner,3,12\r\n",
            &["line 3, column counted", "line 4, column sku", "line 5, column currency"][..],
        ),
        ("sku,product,counted\nA,Runner,1\nB,,2\n", &["line 3, column product"][..]),
    ] {
        let (code, said, told) = import(&world, wrong, &[]).await;
        assert_eq!((code, said.as_str()), (1, ""), "{told}");
        for place in places {
            assert!(told.contains(place), "{place}: {told}");
        }
    }
    let (code, _, told) = import(&world, STOCK, &["--counted-at", "9999-01-01T00:00:00Z"]).await;
    assert!(code == 1 && told.contains("--counted-at"), "{told}");
    let (code, said, told) = import(&world, STOCK, &["--dry-run"]).await;
    assert_eq!((code, figures(&said)), (0, expected((2, 3), 0, 3, 0, 0)), "{said}{told}");
    assert_eq!(world.history().await, before);

    let (code, said, told) = import(&world, STOCK, &[]).await;
    assert_eq!((code, figures(&said)), (0, expected((2, 3), 0, 3, 0, 0)), "{said}{told}");
    let runner = product(&world, "Runner, low").await;
    assert_eq!(runner["brand"], "kite");
    let [first, second] = runner["variants"].as_array().expect("variants").as_slice() else {
        panic!("one product of two sizes: {runner}")
    };
    assert!(first["sku"] == "RUN-41" && second["sku"] == "RUN-42", "{runner}");
    assert_eq!(first["attributes"], json!({ "size": "41", "Material": "mesh" }));
    assert_eq!(first["prices"]["FR"]["minor"], 11_990);
    assert_eq!(first["prices"]["US"]["minor"], 12_900);
    assert_eq!(product(&world, "Bag").await["brand"], Value::Null);
    let levels = world.levels().await;
    assert_eq!((levels["RUN-41"], levels["RUN-42"]), ((5, 0, 5), (4, 0, 4)));
    let newest = world.admin.get("/api/audit?limit=1").await.expect(200)["data"][0].clone();
    assert!(newest["actor"] == "cli" && newest["action"] == "stock.counted", "{newest}");

    // Units that are sold meanwhile do not come back with the file.
    sell_two(&world, &["RUN-41"]).await;
    let before = world.history().await;
    let (code, said, told) = import(&world, STOCK, &["--tenant", "acme"]).await;
    assert_eq!((code, figures(&said)), (0, expected((0, 0), 3, 0, 4, 0)), "{said}{told}");
    assert_eq!(world.history().await, before);
    assert_eq!(world.levels().await["RUN-41"], (3, 0, 3));

    // A line that is refused keeps no other from being taken in, and another size joins the product.
    world.reserve(&[("RUN-42", 4)]).await.expect(201);
    let more = "sku,product,brand,counted,size\n\
                RUN-42,\"Runner, low\",kite,1,42\n\
                RUN-43,\"Runner, low\",kite,6,43\n\
                BAG,,,9,\n";
    let (code, said, told) = import_from_stdin(&world, more).await;
    assert_eq!((code, figures(&said)), (1, expected((0, 1), 1, 2, 0, 1)), "{said}{told}");
    assert!(said.contains("line 2, SKU RUN-42: 4 are reserved"), "{said}");
    assert_eq!(product(&world, "Runner, low").await["variants"].as_array().map(Vec::len), Some(3));
    let levels = world.levels().await;
    assert_eq!((levels["RUN-42"], levels["RUN-43"], levels["BAG"]), ((4, 4, 0), (6, 0, 6), (9, 0, 9)));
    world.expect_intact().await;
}

#[tokio::test]
async fn what_moved_since_a_count_comes_on_top_however_often_its_file_comes() {
    let world = World::new().await;
    let (code, said, told) = import(&world, "sku,product,counted\nRUN-41,Runner,9\n", &[]).await;
    assert_eq!((code, figures(&said)), (0, expected((1, 1), 0, 1, 0, 0)), "{said}{told}");

    let counted_at = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
    sell_two(&world, &["RUN-41"]).await;
    let (file, at) = ("sku;counted;location\r\nRUN-41;5\r\n", ["--counted-at", &counted_at]);
    let (code, said, told) = import(&world, file, &at).await;
    assert_eq!((code, figures(&said)), (0, expected((0, 0), 0, 1, 0, 0)), "{said}{told}");
    assert_eq!(world.levels().await["RUN-41"], (3, 0, 3));

    let before = world.history().await;
    let (code, said, told) = import(&world, file, &at).await;
    assert_eq!((code, figures(&said)), (0, expected((0, 0), 0, 0, 1, 0)), "{said}{told}");
    assert_eq!(world.history().await, before);

    // As after a break without a named time: nothing is known of the first run but what it counted.
    execute(&world, "delete from idempotency_keys").await;
    let (code, said, told) = import(&world, file, &at).await;
    assert_eq!(code, 0, "{said}{told}");
    assert_eq!(world.levels().await["RUN-41"], (3, 0, 3));

    // What is older than a count changes nothing, and that is told: the year may be a slip.
    let (code, said, told) = import(&world, file, &["--counted-at", "2020-01-01T00:00:00Z"]).await;
    assert!(code == 0 && said.contains("covered        1\n  a later count"), "{said}{told}");
    assert!(said.contains("counted        0\nunchanged      0\n"), "{said}");
    assert_eq!(world.levels().await["RUN-41"], (3, 0, 3));
    world.expect_intact().await;
}

#[tokio::test]
async fn a_mended_file_comes_as_of_the_moment_that_was_told_so_that_sold_units_stay_sold() {
    let world = World::new().await;
    world.stocked(&[("RUN-41", 1), ("RUN-42", 4)]).await;
    world.reserve(&[("RUN-42", 4)]).await.expect(201);
    let (code, said, told) = import(&world, "sku,counted\nRUN-41,5\nRUN-42,1\n", &[]).await;
    assert_eq!((code, figures(&said)), (1, expected((0, 0), 0, 1, 0, 1)), "{said}{told}");
    let at = named_time(&said);
    assert_eq!(named_time(&told), at, "it was told at once, too");

    sell_two(&world, &["RUN-41"]).await;
    let mended = "sku,counted\nRUN-41,5\nRUN-42,6\n";
    let (code, said, told) = import(&world, mended, &["--counted-at", at]).await;
    assert_eq!((code, figures(&said)), (0, expected((0, 0), 0, 2, 0, 0)), "{said}{told}");
    let levels = world.levels().await;
    assert_eq!((levels["RUN-41"], levels["RUN-42"]), ((3, 0, 3), (6, 4, 2)));
    world.expect_intact().await;
}

#[tokio::test]
async fn an_import_that_ended_in_the_middle_goes_on_as_of_the_moment_when_it_began() {
    let world = World::new().await;
    world.stocked(&[("RUN-41", 1), ("RUN-42", 1)]).await;
    let file = "sku,counted\nRUN-41,5\nRUN-42,9\n";
    execute(
        &world,
        "create function stumble() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$;
         create trigger stumble before insert on events for each row when (new.payload::text like '%, line 3\"%')
             execute function stumble()",
    )
    .await;
    let (code, said, told) = import(&world, file, &[]).await;
    assert_eq!((code, figures(&said)), (1, expected((0, 0), 0, 1, 0, 1)), "{said}{told}");
    let at = named_time(&said);
    execute(&world, "drop trigger stumble on events").await;

    // Nothing has to be named for that; and it does no harm where it is.
    world.admin.post("/api/stock/restock", json!({ "sku": "RUN-42", "quantity": 3 })).await.expect(200);
    sell_two(&world, &["RUN-41", "RUN-42"]).await;
    for (args, counted) in [(&[][..], 1), (&["--counted-at", at], 2)] {
        let (code, said, told) = import(&world, file, args).await;
        assert_eq!((code, figures(&said)), (0, expected((0, 0), 0, counted, 2 - counted, 0)), "{said}{told}");
        assert!(!args.is_empty() || named_time(&told) == at, "{told}");
        let levels = world.levels().await;
        assert_eq!((levels["RUN-41"], levels["RUN-42"]), ((3, 0, 3), (10, 0, 10)));
    }
    world.expect_intact().await;
}

#[tokio::test]
async fn what_was_refused_is_tried_anew_when_its_file_comes_again() {
    let world = World::new().await;
    world.stocked(&[("RUN-41", 1), ("RUN-42", 4)]).await;
    let held = world.reserve(&[("RUN-42", 4)]).await.expect(201);
    let file = "sku,counted\nRUN-41,5\nRUN-42,1\n";
    let counted_at = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
    let ways = [&["--counted-at", &counted_at][..], &[]];
    for args in ways {
        let (code, said, told) = import(&world, file, args).await;
        assert_eq!((code, figures(&said)), (1, expected((0, 0), 0, 1, 0, 1)), "{said}{told}");
        assert!(said.contains("line 3, SKU RUN-42: 4 are reserved"), "{said}");
    }
    let release = format!("/api/reservations/{}/release", held["reservation"].as_str().expect("an id"));
    world.admin.post(&release, json!({})).await.expect(200);
    for args in ways {
        let (code, said, told) = import(&world, file, args).await;
        assert_eq!((code, figures(&said)), (0, expected((0, 0), 0, 1, 1, 0)), "{said}{told}");
        let levels = world.levels().await;
        assert_eq!((levels["RUN-41"], levels["RUN-42"]), ((5, 0, 5), (1, 0, 1)));
    }
    world.expect_intact().await;
}

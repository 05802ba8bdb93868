//! The project's own rules, read off its sources. Each failure names the rule and the remedy.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust source below a folder, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project can be read").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source can be read");
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has sources");
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_domain_knows_no_database_no_network_no_clock_and_no_chance() {
    for (path, text) in sources("domain/src") {
        for word in ["sqlx", "axum", "tokio", "reqwest", "Utc::now", "new_v4", "now_v7"] {
            assert!(
                !text.contains(word),
                "{}: {word} belongs into infrastructure; pass what you need in",
                path.display()
            );
        }
    }
}

#[test]
fn every_file_begins_by_saying_what_it_is() {
    for folder in ["domain/src", "infrastructure/src", "projector/src", "api/src", "tests/src"] {
        for (path, text) in sources(folder) {
            let tests = path.ends_with("tests.rs");
            assert!(
                tests || text.starts_with("//!"),
                "{}: begin with `//!`: what it is and why",
                path.display()
            );
        }
    }
}

#[test]
fn sql_stands_in_its_rooms_only() {
    let rooms = [
        "/ledger/",
        "/outbox/",
        "/queries/",
        "/database/",
        "/projections/",
        "/rebuild/",
        "checkpoint.rs",
        "runner.rs",
        "health.rs",
        "cli/",
    ];
    for folder in ["infrastructure/src", "projector/src", "api/src"] {
        for (path, text) in sources(folder) {
            let name = path.display().to_string();
            let home = rooms.iter().any(|room| name.contains(room));
            assert!(
                home || !text.contains("sqlx::query"),
                "{name}: move the statement into queries/ or ledger/"
            );
        }
    }
}

#[test]
fn status_codes_of_failures_are_chosen_in_one_place() {
    for (path, text) in sources("api/src/routes") {
        for code in ["NOT_FOUND", "CONFLICT", "BAD_REQUEST", "UNPROCESSABLE", "INTERNAL_SERVER_ERROR"] {
            assert!(!text.contains(code), "{}: use a Problem, in problem.rs", path.display());
        }
    }
}

#[test]
fn every_event_is_told_in_the_events_page_and_kept_in_the_golden_file() {
    let page = read("docs/EVENTS.md");
    let golden = read("domain/tests/golden/events.jsonl");
    let mut count = 0;
    for (path, text) in sources("domain/src") {
        for line in text.lines().filter_map(|line| line.trim().strip_prefix("#[serde(rename = \"")) {
            let name = line.trim_end_matches("\")]");
            if !name.contains('.') {
                continue;
            }
            count += 1;
            assert!(page.contains(name), "{}: tell of {name} in docs/EVENTS.md", path.display());
            assert!(
                golden.contains(&format!("\"{name}\"")),
                "{}: keep {name} in domain/tests/golden",
                path.display()
            );
        }
    }
    assert!(count > 25, "{count} events were found");
}

#[test]
fn every_variable_is_told_in_the_operations_page() {
    let page = read("docs/OPERATIONS.md");
    for folder in ["infrastructure/src", "api/src"] {
        for (path, text) in sources(folder) {
            for name in text.split('"').filter(|word| {
                let all = word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit());
                all && ["ONHAND_", "STOCK_", "FEATURE_", "DATABASE_"]
                    .iter()
                    .any(|prefix| word.starts_with(prefix))
            }) {
                assert!(page.contains(name), "{}: tell of {name} in docs/OPERATIONS.md", path.display());
            }
        }
    }
}

#[test]
fn every_read_model_has_a_table_a_twin_and_a_file() {
    let migrations = ["0002_catalog.sql", "0004_read_models.sql", "0007_stock.sql", "0010_front_door.sql"]
        .map(|name| read(&format!("migrations/{name}")))
        .concat();
    for model in onhand_projector::MODELS {
        for table in model.tables {
            assert!(migrations.contains(&format!("create table {table} (")), "{table} has no migration");
            let twin =
                migrations.lines().any(|line| line.starts_with(&format!("create table rebuild.{table} ")));
            assert!(twin, "{table} has no twin in schema rebuild");
        }
        let file = root().join(format!("projector/src/projections/{}.rs", model.name));
        assert!(file.exists(), "{} has no file in projections", model.name);
    }
}

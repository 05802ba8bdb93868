//! Chapter 10: the stage stays open, and the audience is shown around.

use onhand_infrastructure::database::Server;
use serde_json::json;

use super::{goods::HOT, opening::DATABASE, print::Ink, stage::Stage};
use crate::cli::program;

/// Chapter 10. Says where everything is and how to ask for it.
pub(super) async fn farewell(stage: &Stage<'_>, server: Option<&Server>) -> anyhow::Result<()> {
    let screen = stage.screen;
    screen.chapter(
        10,
        "Your turn",
        "Everything stays up until you press Ctrl-C; then it is stopped and tidied away.",
    );
    let viewer = stage.rest.post("/api/keys", &json!({ "name": "visitor", "role": "viewer" })).await?;
    let viewer = viewer["key"].as_str().unwrap_or_default();
    screen.say(format_args!("API         {}", screen.ink(Ink::Bold, &stage.url)));
    screen.say(format_args!("admin key   {}", stage.admin_key));
    screen.say(format_args!("viewer key  {viewer}   (reads only)"));
    for shop in &stage.shops {
        screen.say(format_args!("{}  {}/sandbox", shop.name, shop.sandbox.base_url()));
    }
    let url = &stage.url;
    let ask = |path: &str| format!("curl -s -H \"Authorization: Bearer $KEY\" '{url}{path}'");
    let reserve = format!(
        "curl -s -H \"Authorization: Bearer $KEY\" -H 'Idempotency-Key: mine-1' {url}/api/reservations \\\n        \
         -d '{{\"lines\":[{{\"sku\":\"{HOT}\",\"quantity\":1}}]}}'"
    );
    let one = &stage.shops[0];
    let buy = format!(
        "curl -s {}/sandbox/orders -d '{{\"lines\":[{{\"sku\":\"{HOT}\",\"quantity\":1}}]}}'",
        one.sandbox.base_url()
    );
    screen.gap();
    screen.say(format_args!("export KEY={}", stage.admin_key));
    screen.gap();
    let lines = [
        ("what is on the shelf", ask(&format!("/api/stock?sku={HOT}"))),
        ("hold one unit for a buyer", reserve),
        ("who did what, newest first", ask("/api/audit?limit=5")),
        ("which webhooks came in", ask("/api/deliveries?limit=5")),
        ("what the shops were told", ask("/api/outbox?limit=5")),
        ("a customer buys in sneaks-one", buy),
    ];
    for (what, line) in lines {
        screen.say(format_args!("{}\n    {line}", screen.ink(Ink::Dim, format_args!("# {what}"))));
    }
    let onhand = program();
    let look = match server.and_then(Server::local) {
        Some(_) => format!(
            "{onhand} db psql {DATABASE} -c 'select position, stream, name from events order by position desc limit 5'"
        ),
        None => format!("psql, on the database {DATABASE} of the server in DATABASE_URL"),
    };
    screen.say(format_args!("{}\n    {look}", screen.ink(Ink::Dim, "# look into the database")));
    Ok(())
}

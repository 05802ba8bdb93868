//! `onhand sandbox`: one stand-in shop with a few sneakers in it, and the commands to play with it.

use std::{net::SocketAddr, process::ExitCode};

use anyhow::Context;
use onhand_infrastructure::{
    config::Config,
    platforms::shopify::sandbox::{CostBucket, SandboxShop, SeedProduct, SeedVariant, ShopSettings},
};

use super::signals::told_to_stop;

const LOCATION: u64 = 7_001;

/// What `sandbox` can be told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Where the shop answers; port 0 takes any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7080")]
    listen: SocketAddr,
    /// What the shop is called.
    #[arg(long, default_value = "sneaks-one.myshopify.com")]
    domain: String,
    /// The token it wants to see in X-Shopify-Access-Token.
    #[arg(long, default_value = "sandbox-token")]
    token: String,
    /// What it signs its webhooks with.
    #[arg(long, default_value = "sandbox-secret")]
    secret: String,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let settings = ShopSettings {
        domain: args.domain.clone(),
        access_token: args.token.clone(),
        webhook_secret: args.secret.clone(),
        api_version: Config::from_env()?.shopify_api_version,
        location_id: LOCATION,
        bucket: CostBucket::default(),
    };
    let version = settings.api_version.clone();
    let stop = told_to_stop();
    let shop = SandboxShop::start(settings, args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    for product in goods() {
        shop.seed(product);
    }
    explain(&args, &shop.base_url(), &version);
    stop.await;
    shop.stop().await;
    Ok(ExitCode::SUCCESS)
}

fn goods() -> [SeedProduct; 2] {
    let sizes = |style: &str, price: &str| {
        let size = |(size, quantity): (&str, i64)| SeedVariant {
            sku: format!("{style}-{size}"),
            option1: size.to_owned(),
            price: price.to_owned(),
            quantity,
        };
        [("8", 4), ("9", 7), ("9.5", 2), ("10", 5)].map(size).to_vec()
    };
    let sneaker = |title: &str, style: &str, price: &str| SeedProduct {
        title: title.to_owned(),
        vendor: "Velora".to_owned(),
        product_type: "Sneakers".to_owned(),
        variants: sizes(style, price),
        ..SeedProduct::default()
    };
    [sneaker("Velora Drift 90", "VD1090", "120.00"), sneaker("Velora Halcyon Low", "VH2204", "95.00")]
}

fn explain(args: &Args, url: &str, version: &str) {
    println!(
        "The stand-in shop {domain} is open; Ctrl-C closes it and it forgets everything.

  GraphQL      {url}/admin/api/{version}/graphql.json
  token        {token}
  secret       {secret}
  location id  {LOCATION}

What is shown, what was called, what went wrong:
  curl -s {url}/sandbox

A customer buys, and cancels (with the order_id that the first one answers):
  curl -s {url}/sandbox/orders -d '{{\"lines\":[{{\"sku\":\"VD1090-9\",\"quantity\":1}}]}}'
  curl -s -X POST {url}/sandbox/orders/<order_id>/cancel

A merchant counts the shelf by hand:
  curl -s {url}/sandbox/stock -d '{{\"sku\":\"VD1090-9\",\"available\":3}}'

A product is added:
  curl -s {url}/sandbox/products -d '{{\"title\":\"Velora Ember\",\"variants\":[{{\"sku\":\"VE3301-9\",\"option1\":\"9\",\"price\":\"140.00\",\"quantity\":6}}]}}'

Webhooks are subscribed to, lost, and delivered again:
  curl -s {url}/sandbox/subscriptions -d '{{\"topic\":\"orders/create\",\"uri\":\"http://127.0.0.1:7070/webhook/shopify/<connection>\"}}'
  curl -s {url}/sandbox/faults -d '{{\"lose_webhooks\":0.2}}'
  curl -s -X DELETE {url}/sandbox/faults

The API answers as the platform does:
  curl -s {url}/admin/api/{version}/graphql.json -H 'Content-Type: application/json' \\
    -H 'X-Shopify-Access-Token: {token}' -d '{{\"query\":\"{{ productVariants(first: 5) {{ nodes {{ sku price }} }} }}\"}}'

To connect it, with a server at http://127.0.0.1:7070 and an admin key in $KEY:
  curl -s http://127.0.0.1:7070/api/connections -H \"Authorization: Bearer $KEY\" -d '{{
    \"platform\":\"shopify\",\"name\":\"sandbox\",\"brand\":\"velora\",\"account\":\"{domain}\",\"endpoint\":\"{url}\",
    \"platform_location\":\"{LOCATION}\",\"currency\":\"USD\",\"access_token\":\"{token}\",\"webhook_secret\":\"{secret}\"}}'
  curl -s -X POST http://127.0.0.1:7070/api/connections/<id>/enable -H \"Authorization: Bearer $KEY\"",
        domain = args.domain,
        token = args.token,
        secret = args.secret,
    );
}

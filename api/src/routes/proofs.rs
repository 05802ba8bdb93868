//! `/api/audit`: what an auditor can take away and check elsewhere: signed checkpoints, proofs, the public key.

use axum::{Json, http::StatusCode};
use onhand_infrastructure::{
    ledger::proof::{self, InclusionProof, SignedCheckpoint},
    queries::{Page, signed_checkpoints, signing_keys},
};
use serde::{Deserialize, Serialize};

use crate::{
    app::AppState,
    extract::{AdminAsk, Empty, Listing, Path, Reader},
    problem::Problem,
};

/// What a proof is to lead to.
#[derive(Debug, Deserialize)]
pub struct Target {
    /// The position of a checkpoint; else the newest one.
    checkpoint: Option<i64>,
}

/// The key that checkpoints are signed with.
#[derive(Debug, Serialize)]
pub struct PublicKey {
    algorithm: &'static str,
    key: String,
    public_key: String,
}

/// `POST /api/audit/checkpoints`: signs for the ledger as it stands. Each signature is an entry, so this is an admin's.
pub async fn sign(
    app: AppState,
    ask: AdminAsk<Empty>,
) -> Result<(StatusCode, Json<SignedCheckpoint>), Problem> {
    if ask.caller.brand.is_some() {
        return Err(Problem::forbidden("a checkpoint speaks of all brands; use a key that is bound to none"));
    }
    let signed = app.onhand.operations.sign_checkpoint(ask.caller).await?;
    Ok((StatusCode::CREATED, Json(signed)))
}

/// `GET /api/audit/checkpoints`, newest first.
pub async fn list(app: AppState, listing: Listing<Empty>) -> Result<Json<Page<SignedCheckpoint>>, Problem> {
    Ok(Json(signed_checkpoints::list(app.onhand.pool(), &listing.window).await?))
}

/// `GET /api/audit/checkpoint`: the newest one.
pub async fn newest(app: AppState, reader: Reader) -> Result<Json<SignedCheckpoint>, Problem> {
    let newest = signed_checkpoints::newest(app.onhand.pool(), reader.tenant, None).await?;
    newest.map(Json).ok_or_else(|| {
        Problem::missing(
            "checkpoint.none",
            "nothing was signed for yet; that is done once a day, or by an admin with POST /api/audit/checkpoints",
        )
    })
}

/// `GET /api/audit/key`. It is made where something is signed, and that is an entry; a read makes none.
pub async fn key(app: AppState, reader: Reader) -> Result<Json<PublicKey>, Problem> {
    let key = signing_keys::public_key(app.onhand.pool(), reader.tenant).await?.ok_or_else(|| {
        Problem::missing(
            "signing_key.none",
            "nothing was signed for yet, and so there is no key to check with",
        )
    })?;
    Ok(Json(PublicKey { algorithm: "Ed25519", key: proof::key_name(&key), public_key: hex::encode(&key) }))
}

/// `GET /api/audit/proof/{position}`: that this entry is part of what a checkpoint was signed for.
pub async fn prove(
    app: AppState,
    Path(position): Path<i64>,
    listing: Listing<Target>,
) -> Result<Json<InclusionProof>, Problem> {
    let (pool, tenant) = (app.onhand.pool(), listing.window.tenant);
    if listing.window.brand.is_some() {
        return Err(Problem::forbidden("the entry may be another brand's; use a key that is bound to none"));
    }
    let checkpoint = match listing.filter.checkpoint {
        Some(at) => signed_checkpoints::at(pool, tenant, at).await?,
        None => signed_checkpoints::newest(pool, tenant, Some(position)).await?,
    };
    let checkpoint = checkpoint.ok_or_else(|| {
        Problem::missing(
            "checkpoint.none",
            "no checkpoint speaks of this position yet; an admin signs one with POST /api/audit/checkpoints",
        )
    })?;
    Ok(Json(proof::prove(pool, tenant, position, checkpoint).await?))
}

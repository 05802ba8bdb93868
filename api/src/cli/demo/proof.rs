//! Chapter 9: everything that was claimed, checked.

use std::{ops::ControlFlow, time::Instant};

use onhand_infrastructure::{
    ledger::{
        Context,
        proof::{Verdict, verify},
    },
    operations::Caller,
};
use onhand_projector::{MODELS, OnDifference, rebuild};

use super::{
    print::{Cell, Ink, Table, number},
    shelves::{Shelf, comparison, shelves},
    stage::Stage,
};

/// More rows than this are shown only where something is wrong.
const ROWS_MAX: usize = 24;

/// Chapter 9.
pub(super) async fn proof(stage: &Stage<'_>) -> anyhow::Result<()> {
    let screen = stage.screen;
    screen.chapter(9, "The final check", "Nothing is under way any more; now everything has to agree.");
    let begun = Instant::now();
    stage.calm().await?;
    screen.step("outbox empty, read models at the head", begun.elapsed());
    shops(stage).await?;
    chain(stage).await?;
    read_models(stage).await
}

async fn shops(stage: &Stage<'_>) -> anyhow::Result<()> {
    let screen = stage.screen;
    let shelves = shelves(stage).await?;
    let few = shelves.len() <= ROWS_MAX;
    screen.table(&comparison(stage, shelves.iter().filter(|shelf| few || !shelf.agrees())));
    let wrong = shelves.iter().filter(|shelf| !shelf.agrees()).count();
    screen.check(
        wrong == 0,
        match wrong {
            0 => format!("all {} variants show the ledger's quantity and price in each shop", shelves.len()),
            wrong => format!("{wrong} of {} variants show something else", shelves.len()),
        },
    );
    screen
        .check(shelves.iter().all(Shelf::sound), "no unit is promised that is not there: 0 ≤ held ≤ on hand");
    Ok(())
}

async fn chain(stage: &Stage<'_>) -> anyhow::Result<()> {
    let screen = stage.screen;
    let begun = Instant::now();
    let verdict = verify(stage.onhand.pool(), stage.tenant, |_, _| {}).await?;
    screen.gap();
    screen.step("every hash recomputed from the first entry on", begun.elapsed());
    match verdict {
        Verdict::Intact { entries, hash, .. } => {
            let hash = hash.chars().take(16).collect::<String>();
            let entries = number(entries);
            screen.check(
                true,
                format_args!(
                    "history is intact: {entries} entries, each hashed over the one before, up to {hash}…"
                ),
            );
        }
        Verdict::Broken { position, why } => {
            screen.check(false, format_args!("history is broken at position {position}: {why}"));
        }
    }
    Ok(())
}

async fn read_models(stage: &Stage<'_>) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut table = Table::new(&["read model", ">rows", ">differences"]);
    let mut differences = 0;
    for model in MODELS {
        let caller = Caller::new(Context::internal(stage.tenant, "demo"));
        let rebuilt = rebuild(&stage.onhand.operations, caller, model, OnDifference::Keep, |_| {
            ControlFlow::Continue(())
        })
        .await?;
        differences += rebuilt.differences;
        let different =
            Cell::new(rebuilt.differences, if rebuilt.differences == 0 { Ink::Dim } else { Ink::Bad });
        table.row([Cell::from(model.name), Cell::from(number(rebuilt.rows)), different]);
    }
    let screen = stage.screen;
    screen.gap();
    screen.step(format_args!("{} read models rebuilt beside the live ones", MODELS.len()), begun.elapsed());
    screen.table(&table);
    screen.check(
        differences == 0,
        "every read model, grown again from the entries alone, equals the live one row for row",
    );
    Ok(())
}

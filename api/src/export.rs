//! Exports of the audit log as text, one line an entry: for answers and for files.

use std::iter;

use onhand_domain::administration::AdministrationEvent;
use onhand_infrastructure::{
    operations::Caller,
    queries::{
        QueryError,
        audit_log::{AuditFilter, AuditLine, Export},
    },
};
use serde::Deserialize;
use serde_json::json;

use crate::Onhand;

/// The columns of a CSV file; `changes` come after them where they are asked for.
const COLUMNS: &str =
    "position,recorded_at,actor,source,address,correlation_id,action,stream,version,data,hash";
/// A cell that begins with one of these is taken for a formula by programs that people open such files with.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// How entries are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// A JSON object a line, with everything the hash covers.
    #[default]
    Ndjson,
    /// For spreadsheets, by RFC 4180: texts in quotes, and a line of names first.
    Csv,
}

impl Format {
    /// `ndjson` or `csv`; also what a file's name ends with.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }

    /// What an answer of this format says it is.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }
}

/// An export that is being written. Its last entry is the one that tells of it, if it is not narrowed.
pub(crate) struct Exporting {
    export: Export,
    format: Format,
    changes: bool,
    begun: bool,
}

impl Exporting {
    /// Puts on record that somebody takes a copy, and begins it.
    pub(crate) async fn begin(
        onhand: &Onhand,
        caller: Caller,
        filter: AuditFilter,
        format: Format,
    ) -> Result<Self, QueryError> {
        filter.check()?;
        let (tenant, brand) = (caller.context.tenant, caller.brand.clone());
        let event = AdministrationEvent::Exported { format: format.name().to_owned(), filter: json!(filter) };
        // Each copy is one: a request that is repeated makes another.
        let noted = onhand.operations.note(Caller { idempotency: None, ..caller }, event).await?;
        let who = (tenant, brand.as_deref());
        let export = Export::new(onhand.pool(), who, &filter, noted.position).await?;
        Ok(Self { export, format, changes: filter.changes, begun: false })
    }

    /// The next lines, a page of them; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<String>, QueryError> {
        let lines = self.export.next().await?;
        let names = self.format == Format::Csv && !self.begun;
        self.begun = true;
        if lines.is_none() && !names {
            return Ok(None);
        }
        let mut text = String::new();
        if names {
            text.push_str(COLUMNS);
            text.push_str(if self.changes { ",changes\r\n" } else { "\r\n" });
        }
        for line in lines.iter().flatten() {
            match self.format {
                Format::Ndjson => text.push_str(&object(line)),
                Format::Csv => text.push_str(&record(line)),
            }
        }
        Ok(Some(text))
    }

    /// The position it has got to, and the one at which it ends.
    pub(crate) fn progress(&self) -> (i64, i64) {
        self.export.progress()
    }
}

fn object(line: &AuditLine) -> String {
    let object =
        serde_json::to_string(line).expect("a line is made of texts, numbers and maps with text keys");
    object + "\n"
}

fn record(line: &AuditLine) -> String {
    let view = &line.view;
    let (position, version) = (view.position.to_string(), view.version.to_string());
    let recorded_at = json!(view.recorded_at);
    let changes = view.changes.as_ref().map(|changes| json!(changes).to_string());
    let texts = [
        recorded_at.as_str().unwrap_or_default(),
        &view.actor,
        &view.source,
        view.address.as_deref().unwrap_or_default(),
        &view.correlation_id,
        &view.action,
        &view.stream,
    ];
    let before = texts.into_iter().map(cell);
    let after = [line.payload.as_str(), &line.hash].into_iter().chain(changes.as_deref()).map(cell);
    let cells: Vec<String> = iter::once(position).chain(before).chain([version]).chain(after).collect();
    cells.join(",") + "\r\n"
}

/// A text as one cell: no formula, and in quotes, for some programs take semicolons and tabs for ends of cells, too. What
/// is not there is nothing.
fn cell(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let guard = if text.starts_with(FORMULA) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula() {
        for (text, written) in [
            ("=1+1", "\"'=1+1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("-2", "\"'-2\""),
            ("+49", "\"'+49\""),
            ("\tx", "\"'\tx\""),
            ("=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""),
        ] {
            assert_eq!(cell(text), written);
        }
    }

    #[test]
    fn a_text_stays_in_its_cell_whatever_is_taken_for_an_end_of_cells() {
        for (text, written) in [
            ("", ""),
            ("main", "\"main\""),
            ("a=b", "\"a=b\""),
            ("a,b", "\"a,b\""),
            ("a;=b", "\"a;=b\""),
            ("a\t=b", "\"a\t=b\""),
            ("two\nlines", "\"two\nlines\""),
            (r#"{"quantity":2}"#, r#""{""quantity"":2}""#),
        ] {
            assert_eq!(cell(text), written);
        }
    }
}

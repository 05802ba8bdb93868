//! What a verification has come to, in words: a line or two for the terminal, and a report for whoever was not there.

use chrono::{DateTime, SecondsFormat, Utc};
use onhand_infrastructure::ledger::proof::Verdict;

use super::{
    document::shown,
    verify::{Obstacle, Outcome, Verified},
};

/// For the terminal.
pub(super) fn lines(verified: &Verified) -> String {
    let name = shown(&verified.name);
    let mut lines = match &verified.outcome {
        Outcome::Walked(Verdict::Intact { entries, hash, root, from: 1, .. }) => {
            vec![
                format!("{name}: intact; all {entries} entries follow from one another, up to {hash}"),
                format!("  the root over all of them is {root}"),
            ]
        }
        Outcome::Walked(Verdict::Intact { entries, hash, root, from, .. }) => {
            vec![
                format!(
                    "{name}: intact; the entries {from} to {entries} follow from one another, up to {hash}"
                ),
                format!(
                    "  those before have the hashes that were signed for, and what they say was not looked at; the root over \
                     all of them is {root}"
                ),
            ]
        }
        Outcome::Walked(Verdict::Broken { position, why }) => {
            vec![format!("{name}: BROKEN at position {position}: {why}")]
        }
        Outcome::Unknown(Obstacle { why }) => vec![format!("{name}: NOT VERIFIED: {}", shown(why))],
    };
    if let Outcome::Walked(Verdict::Intact { tree_differed, seconds_ahead, .. }) = &verified.outcome {
        for used in &verified.checkpoints {
            lines.push(format!(
                "  it agrees with the checkpoint of position {}, signed {} {}",
                used.position,
                used.signed_at,
                used.trust.words(),
            ));
        }
        lines.extend(tree_differed.map(|position| format!("  BUT {}", about_tree(position))));
        lines.extend(seconds_ahead.map(|seconds| format!("  note: {}", about_time(seconds))));
    }
    lines.extend(verified.notes.iter().map(|note| format!("  note: {}", shown(note))));
    lines.join("\n")
}

fn about_tree(position: i64) -> String {
    format!(
        "what is kept of the tree over the entries does not agree with them from position {position} on; either somebody \
         changed the table merkle_nodes, or history was rewritten since it was written: hold it against a checkpoint that \
         was kept elsewhere. Nothing was removed; once it was looked at, `delete from merkle_nodes` is allowed"
    )
}

fn about_time(seconds: i64) -> String {
    format!(
        "the head is dated {seconds} seconds ahead of the database's clock, and every entry until then will be dated so; \
         either the clock of a process was wrong, or somebody changed the table ledger_heads"
    )
}

/// For a person, in Markdown.
pub(super) fn markdown(all: &[Verified]) -> String {
    let held = all.iter().filter(|verified| verified.holds()).count();
    let mut lines = vec![
        "# Verification of history".to_owned(),
        String::new(),
        format!("Made with onhand {}.", env!("CARGO_PKG_VERSION")),
        String::new(),
        match (held, all.len()) {
            (held, of) if held == of => format!("**{held} of {of} ledgers hold.**"),
            (held, of) => format!("**{held} of {of} ledgers hold; {} do NOT.**", of - held),
        },
    ];
    for verified in all {
        lines.extend(chapter(verified));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn chapter(verified: &Verified) -> Vec<String> {
    let mut rows = vec![("ledger", format!("`{}`", verified.tenant))];
    let (mut verdict, mut todo) = (Vec::new(), Vec::new());
    match &verified.outcome {
        Outcome::Walked(Verdict::Intact { entries, hash, root, from, tree_differed, seconds_ahead }) => {
            verdict.push(match tree_differed {
                None => "**Verdict: history holds.**".to_owned(),
                Some(_) => "**Verdict: history holds, and what is kept of its tree does NOT.**".to_owned(),
            });
            rows.extend([
                ("entries", format!("{entries}")),
                ("recomputed", format!("from position {from} to {entries}")),
                ("hash of the newest entry", format!("`{hash}`")),
                ("root over all entries", format!("`{root}`")),
            ]);
            verdict.push(if *from == 1 {
                "Each entry was hashed anew from what it says, and follows from the one before it.".to_owned()
            } else {
                "Each entry from there on was hashed anew from what it says, and follows from the one before it. Those \
                 before have the hashes that were signed for, as the root over all of them shows; what they say was not \
                 looked at."
                    .to_owned()
            });
            if verified.checkpoints.is_empty() {
                todo.push(
                    "No checkpoint was at hand. Somebody who can change the database can recompute a whole chain, and it \
                     hangs together again: only a signed checkpoint that was kept elsewhere shows that it is still the same \
                     history. Have one written with `onhand audit checkpoint`, and keep it where the database's owner cannot \
                     change it."
                        .to_owned(),
                );
            }
            todo.extend(tree_differed.map(|position| format!("Note: {}.", about_tree(position))));
            todo.extend(seconds_ahead.map(|seconds| format!("Note: {}.", about_time(seconds))));
        }
        Outcome::Walked(Verdict::Broken { position, why }) => {
            verdict.push(format!("**Verdict: history does NOT hold, at position {position}.**"));
            verdict.push(format!("What is wrong there: {why}."));
            todo.push(
                "What to do: stop every process that writes, and keep the database as it is; change nothing in it. Compare \
                 the entries from that position on with a backup, an archive or an export. Find out who could change the \
                 tables behind the program's back: it takes the owner of the tables or a superuser. Restore from a backup \
                 that holds."
                    .to_owned(),
            );
        }
        Outcome::Unknown(Obstacle { why }) => {
            verdict.push("**Verdict: none. The ledger could not be walked.**".to_owned());
            verdict.push(format!("What stood in the way: {why}."));
        }
    }
    todo.extend(verified.notes.iter().map(|note| format!("Note: {note}.")));
    rows.push(("begun", written(verified.begun_at)));
    rows.push(("took", format!("{:.1} seconds", verified.seconds)));
    let mut lines = vec![String::new(), format!("## {:?}", verified.name), String::new()];
    lines.extend(verdict.into_iter().flat_map(|text| [text, String::new()]));
    lines.extend(["| | |".to_owned(), "| --- | --- |".to_owned()]);
    lines.extend(rows.into_iter().map(|(what, value)| format!("| {what} | {value} |")));
    if !verified.checkpoints.is_empty() {
        lines.extend([String::new(), "Held against signed checkpoints:".to_owned(), String::new()]);
        lines.extend(verified.checkpoints.iter().map(|used| {
            format!(
                "- position {}, signed {} {}: `{}`",
                used.position,
                used.signed_at,
                used.trust.words(),
                used.public_key,
            )
        }));
    }
    lines.extend(todo.into_iter().flat_map(|text| [String::new(), text]));
    lines
}

fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use onhand_domain::values::TenantId;
    use uuid::Uuid;

    use super::{
        super::verify::{Trust, Used},
        *,
    };

    fn verified(verdict: Verdict, checkpoints: Vec<Used>) -> Verified {
        Verified {
            tenant: TenantId(Uuid::from_u128(1)),
            name: "acme".to_owned(),
            outcome: Outcome::Walked(verdict),
            has_tenant: true,
            notes: vec![],
            checkpoints,
            begun_at: DateTime::UNIX_EPOCH,
            seconds: 1.25,
        }
    }

    fn intact(from: i64) -> Verdict {
        let (hash, root) = ("0a".repeat(32), "0b".repeat(32));
        Verdict::Intact { entries: 70_000, hash, root, from, tree_differed: None, seconds_ahead: None }
    }

    fn used(trust: Trust) -> Used {
        let signed_at = "2026-01-03T00:00:00.000000Z".to_owned();
        Used { position: 66_000, signed_at, public_key: "0c".repeat(32), trust }
    }

    #[test]
    fn a_report_says_what_was_checked_what_came_of_it_and_what_it_does_not_show() {
        let report = markdown(&[verified(intact(1), vec![])]);
        for part in [
            "**1 of 1 ledgers hold.**",
            "## \"acme\"",
            "**Verdict: history holds.**",
            "| entries | 70000 |",
            "| recomputed | from position 1 to 70000 |",
            "0a0a",
            "0b0b",
            "| begun | 1970-01-01T00:00:00Z |",
            "No checkpoint was at hand.",
        ] {
            assert!(report.contains(part), "{part} is not in\n{report}");
        }
    }

    #[test]
    fn a_report_names_the_checkpoints_and_what_speaks_for_their_key() {
        let report = markdown(&[verified(intact(65_537), vec![used(Trust::Named), used(Trust::Document)])]);
        assert!(report.contains("from position 65537 to 70000"), "{report}");
        assert!(
            report.contains("- position 66000, signed 2026-01-03T00:00:00.000000Z by the key that was named")
        );
        assert!(report.contains("by a key that only the file itself speaks for"), "{report}");
        assert!(!report.contains("No checkpoint was at hand."), "{report}");
    }

    #[test]
    fn a_report_on_a_broken_ledger_says_where_how_and_what_to_do() {
        let broken = Verdict::Broken { position: 9, why: "the entry is missing".to_owned() };
        let all = [verified(intact(1), vec![]), verified(broken, vec![])];
        let report = markdown(&all);
        assert!(report.contains("**1 of 2 ledgers hold; 1 do NOT.**"), "{report}");
        assert!(report.contains("**Verdict: history does NOT hold, at position 9.**"), "{report}");
        assert!(report.contains("What is wrong there: the entry is missing."), "{report}");
        assert!(report.contains("stop every process that writes"), "{report}");
        assert_eq!(lines(&all[1]), "acme: BROKEN at position 9: the entry is missing");
    }

    #[test]
    fn what_is_amiss_beside_the_entries_is_told_and_only_a_name_or_a_time_may_pass() {
        let mut one = verified(intact(1), vec![]);
        one.notes.push("it is called otherwise".to_owned());
        let Outcome::Walked(Verdict::Intact { seconds_ahead, .. }) = &mut one.outcome else { panic!() };
        *seconds_ahead = Some(3_600);
        assert!(one.holds());
        for text in [lines(&one), markdown(&[one])] {
            assert!(text.contains("it is called otherwise") && text.contains("3600 seconds ahead"), "{text}");
        }

        let mut one = verified(intact(1), vec![]);
        let Outcome::Walked(Verdict::Intact { tree_differed, .. }) = &mut one.outcome else { panic!() };
        *tree_differed = Some(257);
        assert!(!one.holds());
        for text in [lines(&one), markdown(&[one])] {
            assert!(text.contains("from position 257 on"), "{text}");
        }

        let mut one = verified(intact(1), vec![]);
        one.outcome = Outcome::Unknown(Obstacle { why: "no connection".to_owned() });
        assert!(!one.holds());
        for text in [lines(&one), markdown(&[one])] {
            assert!(text.contains("no connection") && !text.contains("intact"), "{text}");
        }
        assert!(!Verified { has_tenant: false, ..verified(intact(1), vec![]) }.holds());
    }

    #[test]
    fn the_terminal_is_told_in_a_line_and_of_each_checkpoint() {
        let text = lines(&verified(intact(65_537), vec![used(Trust::Database)]));
        assert!(
            text.starts_with("acme: intact; the entries 65537 to 70000 follow from one another"),
            "{text}"
        );
        assert!(text.contains("it agrees with the checkpoint of position 66000"), "{text}");
    }
}

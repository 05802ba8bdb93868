//! Documents that prove something: read from files, checked without a database, written for others to keep.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, bail};
use onhand_infrastructure::ledger::proof::{Document, InclusionProof, SignedCheckpoint};
use serde::Serialize;

/// A proof is a few kilobytes; an entry may hold what a webhook of a megabyte told.
const BYTES_MAX: u64 = 16_000_000;

/// A text of unknown origin as a terminal may be given it: what would move its cursor, or the order of what it shows, is
/// written out.
pub(in crate::cli) fn shown(text: &str) -> String {
    let acts = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if acts(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// A public key as it is noted: 32 bytes in hex, in large letters or small.
pub(in crate::cli) fn public_key(text: &str) -> Result<String, String> {
    match hex::decode(text.trim()) {
        Ok(key) if key.len() == 32 => Ok(hex::encode(key)),
        _ => Err("a public key is 32 bytes in hex, as `onhand audit key` tells it".to_owned()),
    }
}

/// Checks a document. Ends with code 1 if it does not hold.
pub(super) fn check(file: &Path, key: Option<&str>) -> anyhow::Result<ExitCode> {
    let document = match Document::read(&text(file)?) {
        Ok(document) => document,
        Err(why) => return Ok(does_not_hold(file, &why)),
    };
    let checked = match &document {
        Document::Checkpoint(checkpoint) => checkpoint.check(key),
        Document::Proof(proof) => proof.check(key),
    };
    if let Err(why) = checked {
        return Ok(does_not_hold(file, &why));
    }
    let checkpoint = match &document {
        Document::Checkpoint(checkpoint) => {
            println!("HOLDS: a signed checkpoint");
            checkpoint
        }
        Document::Proof(proof) => {
            println!(
                "HOLDS: the entry at position {} is part of the history that was signed",
                proof.entry.position
            );
            tell_entry(proof);
            &proof.checkpoint
        }
    };
    tell_checkpoint(checkpoint);
    println!("signed with    {}", checkpoint.public_key);
    if key.is_none() {
        println!(
            "No key was named, so this only shows that the document hangs together. Name the ledger's public key, from \
             a source of its own, with --key."
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn does_not_hold(file: &Path, why: &dyn std::fmt::Display) -> ExitCode {
    println!("DOES NOT HOLD: {}: {}", shown(&file.display().to_string()), shown(&why.to_string()));
    ExitCode::FAILURE
}

fn tell_entry(proof: &InclusionProof) {
    let entry = &proof.entry;
    println!("event          {} (version {}), id {}", shown(&entry.name), entry.name_version, entry.event_id);
    println!("stream         {}, version {}", shown(&entry.stream), entry.version);
    println!("recorded       {}", entry.recorded_at);
    println!("payload        {}", shown(&entry.payload));
    println!("metadata       {}", shown(&entry.metadata));
}

fn tell_checkpoint(checkpoint: &SignedCheckpoint) {
    let SignedCheckpoint { tenant, tenant_name, position, hash, root, recorded_at, signed_at, .. } =
        checkpoint;
    println!("ledger         \"{}\", {tenant}", shown(tenant_name));
    println!("up to          position {position}, recorded {recorded_at}");
    println!("hash           {hash}");
    println!("root           {root}");
    println!("signed         {signed_at}");
}

/// A checkpoint in a file whose signature holds, with one of these keys if any are named.
pub(in crate::cli) fn checkpoint(file: &Path, keys: &[String]) -> anyhow::Result<SignedCheckpoint> {
    let name = file.display();
    let document = Document::read(&text(file)?).with_context(|| format!("{name} cannot be used"))?;
    let Document::Checkpoint(checkpoint) = document else {
        bail!("{name} is a proof, and not a signed checkpoint; onhand audit check looks at it");
    };
    let proves_nothing = || format!("{name} proves nothing");
    // First by itself, so that an altered one is called that, whatever the keys are.
    checkpoint.check(None).with_context(proves_nothing)?;
    let mut checked = Ok(());
    for key in keys {
        checked = checkpoint.check(Some(key));
        if checked.is_ok() {
            break;
        }
    }
    checked.with_context(proves_nothing)?;
    Ok(*checkpoint)
}

/// The file that is meant; none where it is stdout, which may also be written `-`.
pub(super) fn file_of(out: Option<&Path>) -> Option<&Path> {
    out.filter(|out| *out != Path::new("-"))
}

/// Writes a document into a file, or else to stdout.
pub(super) fn write(document: &impl Serialize, out: Option<&Path>) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(document)? + "\n";
    match file_of(out) {
        Some(file) => {
            fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))?;
            eprintln!("Written to {}.", file.display());
        }
        None => print!("{text}"),
    }
    Ok(())
}

fn text(file: &Path) -> anyhow::Result<String> {
    let cannot = || format!("{} cannot be read", file.display());
    if fs::metadata(file).with_context(cannot)?.len() > BYTES_MAX {
        bail!("{} is too large for a document of ours", file.display());
    }
    fs::read_to_string(file).with_context(cannot)
}

#[cfg(test)]
mod tests {
    use super::{public_key, shown};

    #[test]
    fn a_public_key_is_32_bytes_in_hex() {
        assert_eq!(public_key(&"AB".repeat(32)), Ok("ab".repeat(32)));
        for wrong in ["zz", "", "ab".repeat(31).as_str()] {
            assert!(public_key(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_would_act_on_a_terminal_is_written_out_and_the_rest_is_left_alone() {
        assert_eq!(shown("Grüße, 靴 №1 \"x\""), "Grüße, 靴 №1 \"x\"");
        assert_eq!(shown("a\u{1b}[2Kb\r\nc\u{9b}"), "a\\u{1b}[2Kb\\r\\nc\\u{9b}");
        assert_eq!(shown("acme\u{202e}x\u{200b}"), "acme\\u{202e}x\\u{200b}");
    }
}

//! What commands say, in one place. Whoever reads it may have heard enough, as `head` has, and goes: std's own macros then
//! panic, and with these the program says no more and does what else it was asked for. They have the names of std's, for
//! nothing else is to be used.

use std::{
    fmt::Arguments,
    io::{self, ErrorKind, Write},
    process::ExitCode,
    sync::atomic::{AtomicU8, Ordering},
};

/// What a shell makes of a program that a closed pipe has ended: 128, and the number of the signal. A verdict that nobody
/// heard is none, so it is not 0.
const NOBODY_READS: u8 = 141;
/// As of any command that has failed.
const NOT_WRITTEN: u8 = 1;

/// What the program is to end with because stdout takes no more; 0 as long as it does.
static UNSAID: AtomicU8 = AtomicU8::new(0);

/// A line on stdout.
macro_rules! println {
    ($($text:tt)*) => { $crate::cli::out::say(format_args!("{}\n", format_args!($($text)*))) };
}

/// A text on stdout.
macro_rules! print {
    ($($text:tt)*) => { $crate::cli::out::say(format_args!($($text)*)) };
}

/// A line on stderr: beside the point, so that the program goes on where nobody reads it.
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::cli::out::say_aside(format_args!($($text)*)) };
}

/// Stdout, for what is of no use but to be read: where nobody reads it any more, writing to it fails.
pub(in crate::cli) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().write(bytes).inspect_err(note)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush().inspect_err(note)
    }
}

fn note(error: &io::Error) {
    if error.kind() == ErrorKind::BrokenPipe {
        UNSAID.store(NOBODY_READS, Ordering::Relaxed);
    }
}

/// Says something on stdout, unless something before it could not be said. Where that cannot be written, what the command
/// has found out is lost, and in the end it has failed.
pub(in crate::cli) fn say(text: Arguments<'_>) {
    if UNSAID.load(Ordering::Relaxed) != 0 {
        return;
    }
    if let Err(error) = Stdout.write_fmt(text)
        && error.kind() != ErrorKind::BrokenPipe
    {
        UNSAID.store(NOT_WRITTEN, Ordering::Relaxed);
        say_aside(format_args!("error: stdout cannot be written: {error}"));
    }
}

/// What the program ends with if not all was heard that a command had to say. None if it was, or if the command has failed at
/// something else.
pub(in crate::cli) fn unsaid(ended: &anyhow::Result<ExitCode>) -> Option<ExitCode> {
    let code = UNSAID.load(Ordering::Relaxed);
    let is_of_pipe = |error: &anyhow::Error| {
        error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
    };
    (code != 0 && ended.as_ref().err().is_none_or(is_of_pipe)).then(|| code.into())
}

/// Says something on stderr.
pub(in crate::cli) fn say_aside(text: Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{text}");
}

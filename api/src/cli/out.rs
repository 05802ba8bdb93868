//! What commands say, in one place. Whoever reads it may have heard enough, as `head` has, and goes: std's own macros then
//! panic, and these end the program without a word. They have the names of std's, for nothing else is to be used.

use std::{
    fmt::Arguments,
    io::{self, ErrorKind, Write},
    process::exit,
};

/// What a shell makes of a program that a closed pipe has ended: 128, and the number of the signal. A verdict that nobody
/// heard is none, so it is not 0.
const NOBODY_READS: i32 = 141;

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

/// Stdout; where nobody reads it any more, writing to it ends the program.
pub(in crate::cli) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        heard(io::stdout().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        heard(io::stdout().flush())
    }
}

fn heard<T>(written: io::Result<T>) -> io::Result<T> {
    if written.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
        exit(NOBODY_READS);
    }
    written
}

/// Says something on stdout. Where that cannot be written, what the command has found out is lost, and it has failed.
pub(in crate::cli) fn say(text: Arguments<'_>) {
    if let Err(error) = Stdout.write_fmt(text) {
        say_aside(format_args!("error: stdout cannot be written: {error}"));
        exit(1);
    }
}

/// Says something on stderr.
pub(in crate::cli) fn say_aside(text: Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{text}");
}

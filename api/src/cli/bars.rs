//! Progress bars: on a terminal only, and gone when the work is done.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that says what it is about; invisible unless stderr is a terminal.
pub(super) fn bar(about: String) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:32} {wide_bar:.cyan/dim} {pos}/{len} {eta}");
    let bar = ProgressBar::new(0).with_message(about);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Moves a bar to where the work is and how far it has to go.
pub(super) fn set(bar: &ProgressBar, position: i64, of: i64) {
    bar.set_length(of.unsigned_abs());
    bar.set_position(position.unsigned_abs());
}

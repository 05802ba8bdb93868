//! Golden events: every event as it was first written must still be read, and be written the same.

use onhand_domain::Event;
use serde_json::Value;

/// One line an event: `{"name": …, "version": …, "payload": …}`. A released line is never changed; a new shape
/// gets a new version, a new line and an upcast.
const GOLDEN: &str = include_str!("golden/events.jsonl");

#[test]
fn every_event_ever_written_is_read_and_written_the_same() {
    for line in GOLDEN.lines() {
        let golden: Value = serde_json::from_str(line).expect("a golden line is JSON");
        let name = golden["name"].as_str().expect("a name");
        let version = golden["version"].as_i64().expect("a version") as i16;
        let payload = golden["payload"].to_string();
        let event = Event::read(name, version, &payload).unwrap_or_else(|error| panic!("{name}: {error}"));
        let stored = event.stored();
        assert_eq!(stored.name, name);
        let written: Value = serde_json::from_str(&stored.payload).expect("a payload is JSON");
        if stored.version == version {
            assert_eq!(written, golden["payload"], "{name}");
        }
    }
}

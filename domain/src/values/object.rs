//! JSON objects that are nothing but objects. What serde derives for a struct takes an array as well, and reads its elements
//! as the fields in the order in which they happen to be declared.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, value::MapAccessDeserializer},
};

/// Something that is written as an object, and as nothing else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<T> Object<T> {
    /// The thing itself; for fields, as `deserialize_with`.
    pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error>
    where
        T: Deserialize<'de>,
    {
        Self::deserialize(deserializer).map(|Self(it)| it)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, fields: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields)).map(Object)
            }
        }

        deserializer.deserialize_map(Fields(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Change {
        Restock(Object<Restock>),
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Restock {
        sku: String,
        #[serde(default)]
        quantity: i64,
    }

    #[test]
    fn an_array_is_no_object_at_whatever_depth() {
        let read = serde_json::from_str::<Object<Restock>>;
        assert_eq!(
            read(r#"{"sku":"A"}"#).expect("an object"),
            Object(Restock { sku: "A".into(), quantity: 0 })
        );
        let told = read(r#"["A",3]"#).expect_err("an array").to_string();
        assert!(told.contains("expected an object"), "{told}");
        assert!(read(r#"{"sku":"A","colour":"red"}"#).is_err());
        assert!(read(r#"{"sku":"A"} x"#).is_err());

        let change = serde_json::from_str::<Object<Change>>;
        assert!(change(r#"{"restock":{"sku":"A","quantity":2}}"#).is_ok());
        assert!(change(r#"{"restock":["A",2]}"#).is_err());
        assert!(change(r#"{"restock":{"sku":"A"},"count":{}}"#).is_err());
    }
}

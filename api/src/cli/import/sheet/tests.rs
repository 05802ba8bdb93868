//! What a spreadsheet says, and what is wrong with others.

use super::*;

fn wrong(text: &str) -> String {
    Sheet::read(text).expect_err("it has a mistake").to_string()
}

#[test]
fn columns_come_in_any_order_and_what_a_cell_leaves_out_has_a_default() {
    let text = "Counted,Price,SKU,attribute:Material,product,CURRENCY,brand,size\r\n\
                5, 119.9 ,RUN-41,mesh,\"Runner, low\",USD,kite,41\r\n\
                \r\n\
                ,,,,,,,\r\n\
                ,,BAG,,,,,\r\n";
    let sheet = Sheet::read(text).expect("it is sound");
    let lines: Vec<usize> = sheet.rows.iter().map(|row| row.line).collect();
    assert_eq!(lines, [2, 5]);
    assert_eq!(sheet.rows[0].counted, Quantity::new(5).ok());
    assert_eq!(sheet.rows[0].location, LocationCode::default());
    assert_eq!(sheet.rows[1].counted, None);
    let variant = &sheet.variants[&sheet.rows[0].sku];
    let family = Family { title: "Runner, low".into(), brand: Some("kite".into()) };
    assert_eq!(variant.family, Some(family));
    let attributes: Vec<_> = variant.attributes.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(attributes, [("Material", "mesh"), ("size", "41")]);
    assert_eq!(variant.prices[&Market::default()].minor, 11_990);
    assert_eq!(sheet.variants[&sheet.rows[1].sku].family, None);
}

#[test]
fn a_column_that_is_unknown_repeated_or_missing_is_told_before_any_line() {
    let told = wrong("product,colr,Product,attribute:\nx,y\n");
    for part in ["line 1, column 2", "\"colr\"", "line 1, column 3", "line 1, column 4", "column sku"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("line 2"), "{told}");
}

#[test]
fn every_mistake_is_told_with_its_line_and_column() {
    let long = "x".repeat(201);
    let text = format!(
        "sku,product,brand,location,counted,price,currency,market,size\n\
         A,Runner,kite,Berlin,1,,,,\n\
         B,Runner,kite,,many,,,,\n\
         ,Runner,kite,,1,,,,\n\
         C,Runner,kite,,-1,,,,\n\
         D,Runner,kite,,,5,,,\n\
         E,Runner,kite,,,\"1,500\",EUR,usa,\n\
         F,,kite,,,,,,\n\
         G,Runner,{long},,,,,,\n\
         H,Runner,kite,,,,,,{long}\n\
         I,\"two\nlines\",kite,,,,,,\n\
         J,Runner,kite,,,,,,,,x\n"
    );
    let told = wrong(&text);
    for part in [
        "line 2, column location",
        "line 3, column counted: \"many\"",
        "line 4, column sku",
        "line 5, column counted",
        "line 6, column currency",
        "line 7, column price",
        "line 7, column market",
        "line 8, column product",
        "line 9, column brand",
        "line 10, column size",
        "line 11, column product",
        "line 13, column 11",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn a_price_that_may_be_thousands_is_asked_about() {
    let read = |price: &str, currency: &str| {
        Sheet::read(&format!("sku,product,price,currency\nA,Runner,\"{price}\",{currency}\n"))
    };
    for (price, currency, part) in [
        ("1.200", "EUR", "may be thousands"),
        ("1.299", "EUR", "may be thousands"),
        ("12.000", "JPY", "may be thousands"),
        ("1,200", "EUR", "a point before decimals"),
        ("1,200.00", "USD", "nothing between thousands"),
        ("1,2,50", "EUR", "a point before decimals"),
        ("1.23,50", "EUR", "a point before decimals"),
        ("1234.567,50", "EUR", "a point before decimals"),
        (",50", "EUR", "a point before decimals"),
        ("1,50", "JPY", "is not an amount of JPY"),
    ] {
        let told = read(price, currency).expect_err(price).to_string();
        assert!(told.contains("line 2, column price") && told.contains(part), "{told}");
    }
    for (price, currency, minor) in [
        ("1200", "EUR", 120_000),
        ("1.2", "EUR", 120),
        ("12000.00", "JPY", 12_000),
        ("1.200", "KWD", 1_200),
        // A comma before one or two digits parts no thousands anywhere.
        ("119,90", "EUR", 11_990),
        ("1,5", "EUR", 150),
        ("1.234,50", "EUR", 123_450),
        ("1234567,50", "EUR", 123_456_750),
        ("1.234.567,5", "EUR", 123_456_750),
    ] {
        let sheet = read(price, currency).expect(price);
        assert!(sheet.variants.values().all(|variant| variant.prices[&Market::default()].minor == minor));
    }
}

#[test]
fn a_sku_that_was_cut_short_is_refused() {
    for cut in ["4.06655E+12", "\"4,06655E+12\"", "4E+12"] {
        let told = wrong(&format!("sku,counted\n{cut},1\n"));
        assert!(told.contains("line 2, column sku") && told.contains("cut short"), "{told}");
    }
    for whole in ["4066550000000", "AB.1E+12", "RUN-41E+12"] {
        assert!(Sheet::read(&format!("sku,counted\n{whole},1\n")).is_ok(), "{whole}");
    }
}

#[test]
fn semicolons_part_cells_where_the_names_of_columns_are_parted_so() {
    let text = "sku;product;brand;counted\r\nA;Runner, low;kite;5\r\nB;Runner, low;kite;4\r\n";
    let sheet = Sheet::read(text).expect("it is sound");
    let counted: Vec<_> = sheet.rows.iter().map(|row| row.counted.map(Quantity::units)).collect();
    assert_eq!(counted, [Some(5), Some(4)]);
    let family = Family { title: "Runner, low".into(), brand: Some("kite".into()) };
    assert!(sheet.variants.values().all(|variant| variant.family.as_ref() == Some(&family)));
}

#[test]
fn tabs_part_cells_where_the_names_of_columns_are_parted_so() {
    let text = "sku\tproduct\tattribute:Size, EU; men\tcounted\r\nA\tRunner, low\t41\t5\r\n";
    let sheet = Sheet::read(text).expect("it is sound");
    assert_eq!(sheet.rows[0].counted, Quantity::new(5).ok());
    assert_eq!(sheet.variants[&sheet.rows[0].sku].attributes["Size, EU; men"], "41");
}

#[test]
fn what_parts_cells_may_stand_in_a_name_as_long_as_the_other_is_there_more_often() {
    for text in
        ["sku;product;attribute:Size, EU\nA;Runner;41\n", "sku,product,attribute:Size; EU\nA,Runner,41\n"]
    {
        let sheet = Sheet::read(text).expect("it is sound");
        let variant = &sheet.variants[&sheet.rows[0].sku];
        assert_eq!(variant.attributes.values().collect::<Vec<_>>(), ["41"]);
    }
}

#[test]
fn empty_cells_at_the_end_of_a_line_may_be_left_out() {
    let sheet = Sheet::read("sku,product,counted,location\nA,Runner,5\nB,Runner\n").expect("it is sound");
    let counted: Vec<_> = sheet.rows.iter().map(|row| row.counted.map(Quantity::units)).collect();
    assert_eq!(counted, [Some(5), None]);
    assert!(sheet.rows.iter().all(|row| row.location == LocationCode::default()));
}

#[test]
fn nameless_columns_after_the_others_are_no_matter_while_they_are_empty() {
    let sheet = Sheet::read("sku;product;counted;; \nA;Runner;5;;\nB;Runner;4; ;;\n").expect("it is sound");
    assert_eq!(sheet.rows.len(), 2);
    let told = wrong("sku;product;counted;;\nA;Runner;5;;\nB;Runner;4;;new\n");
    assert!(told.contains("line 3, column 5: the line has 5 cells for 3 columns"), "{told}");
    assert!(wrong("sku;;counted\nA;;5\n").contains("line 1, column 2: there is no column \"\""));
}

#[test]
fn lines_are_counted_however_they_end() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["sku,product", "A,\"two", "lines\"", "", "B,Runner,x", ""].join(end);
        let told = wrong(&text);
        for part in ["line 2, column product", "line 5, column 3"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let bytes = [&b"sku"[..], end.as_bytes(), b"A\xff"].concat();
        let told = format!("{:#}", super::text(&bytes).expect_err("it is not UTF-8"));
        assert!(told.contains("line 2"), "{told}");
    }
}

#[test]
fn a_quote_that_is_left_open_or_stands_alone_in_a_quoted_cell_is_told_alone() {
    for (text, place) in [
        ("sku,product,counted\nA,Runner,5\nB,\"Walker,7", "line 3, column 2"),
        ("sku,product,counted\r\nA,\"Runner,5\r\nB,\"Walker\",many\r\n", "line 2, column 2"),
        ("sku,counted,product\nA,1,\"Shoe \"nine\" inch\"\n", "line 2, column 3"),
        ("sku;counted;product\r\rA;1;\"Shoe\"B\r", "line 3, column 3"),
        ("sku,product\nA,\"two\nlines\"\n\"B\" ,Runner\n", "line 4, column 1"),
        ("sku,\"counted\nA,1\n", "line 1, column 2"),
    ] {
        let told = wrong(text);
        assert!(told.contains(&format!("{place}: the quote")) && told.lines().count() == 2, "{text}: {told}");
    }
}

#[test]
fn quotes_stand_for_themselves_within_a_cell_and_are_written_twice_in_a_quoted_one() {
    let text =
        "sku,product,\"size\"\nA,\"9\"\" \"\"low\"\"\",9\"\nB,Size \"9\" low,\"\"\"\"\r\nC,Runner,\"\"";
    let sheet = Sheet::read(text).expect("it is sound");
    let of = |variant: &Variant| {
        let title = variant.family.as_ref().map(|family| family.title.clone());
        (title.unwrap_or_default(), variant.attributes.values().cloned().collect::<Vec<_>>().concat())
    };
    let said: Vec<_> = sheet.variants.values().map(of).collect();
    let expected = [("9\" \"low\"", "9\""), ("Size \"9\" low", "\""), ("Runner", "")];
    assert_eq!(said, expected.map(|(title, size)| (title.to_owned(), size.to_owned())));
}

#[test]
fn lines_of_one_sku_agree_and_count_a_shelf_once() {
    let columns = "sku,product,location,counted,price,currency,market,size\n";
    let two = "A,Runner,,1,10,USD,US,41\nA,,north,2,9,EUR,FR,\n";
    let sheet = Sheet::read(&format!("{columns}{two}")).expect("they agree");
    assert_eq!((sheet.rows.len(), sheet.variants.len()), (2, 1));
    assert!(sheet.variants.values().all(|variant| variant.prices.len() == 2));
    for (line, column) in [
        ("A,Walker,south,,,,,", "product"),
        ("A,,south,,11,USD,US,", "price"),
        ("A,,south,,,,,42", "size"),
        ("A,,main,1,,,,", "counted"),
    ] {
        let told = wrong(&format!("{columns}{two}{line}\n"));
        assert!(told.contains(&format!("line 4, column {column}")), "{told}");
    }
}

#[test]
fn a_file_has_its_bounds() {
    assert_eq!(wrong(""), "the file is empty");
    let lines = "A\n".repeat(LINES_MAX + 1);
    assert!(wrong(&format!("sku\n{lines}")).contains("split it"));
    let columns: Vec<String> = (0..=COLUMNS_MAX).map(|n| format!("attribute:{n}")).collect();
    assert!(wrong(&columns.join(",")).contains("column 101"));
    assert!(wrong(&format!("sku\n{}\n", "x".repeat(501))).contains("line 2, column sku"));
    let mistakes = "sku\n".to_owned() + &"\"a\tb\"\n".repeat(TOLD_MAX + 3);
    assert!(wrong(&mistakes).ends_with("and 3 more"));
    let told = format!("{:#}", text(b"sku\nA\xff\n").expect_err("it is not UTF-8"));
    assert!(told.contains("line 2"), "{told}");
}

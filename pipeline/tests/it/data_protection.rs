//! The guide for data-protection officers says what the program does: its tables are those that the program prints.

use std::path::Path;

use tributary::cli::data_protection::reference;

const BEGIN: &str = "<!-- tributary reference --data-protection -->\n";
const END: &str = "<!-- end -->";

#[test]
fn the_guide_has_the_tables_that_the_program_prints() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/DATA-PROTECTION.md");
    let guide = std::fs::read_to_string(&file).unwrap();
    let (_, rest) = guide.split_once(BEGIN).expect("the beginning is marked");
    let (stands, _) = rest.split_once(END).expect("the end is marked");
    assert!(
        stands == reference().unwrap(),
        "config/DATA-PROTECTION.md is not what the program does: put between its marks what this prints:\n\
         cargo run -p tributary -- reference --data-protection"
    );
}

#[test]
fn what_a_step_needs_is_what_the_reader_of_signals_asks_for() {
    let tables = reference().unwrap();
    for row in [
        ["`hold`", "purpose 1"],
        ["`credit`", "purpose 7"],
        ["`join`", "purpose 9"],
        ["`link`", "purpose 7 or 9, and feature 2 disclosed"],
        ["`position`", "special feature 1, and any purpose"],
        [
            "`share`",
            "none of the objections `do_not_sell`, `do_not_share`, `do_not_target`",
        ],
    ] {
        let [step, needs] = row;
        let line = tables
            .lines()
            .find(|line| line.starts_with(&format!("| {step} |")));
        let columns: Vec<&str> = line.unwrap().split(" | ").collect();
        assert_eq!(columns[2], needs, "{step}");
    }
}

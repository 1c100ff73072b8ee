//! A public Global Vendor List is read, its vendors' declarations become terms, and what contradicts itself is
//! refused.

use std::fs::File;
use std::io::Read;

use crate::support::shared_data;
use flate2::read::GzDecoder;
use tributary_consent::{Basis, ListError, Party, Terms, VendorList};

#[test]
fn the_public_list_is_read() {
    let Some(path) = shared_data() else { return };
    let mut json = Vec::new();
    let file = File::open(path.join("gvl_v2.2_vendor-list.json.gz")).unwrap();
    GzDecoder::new(file).read_to_end(&mut json).unwrap();
    let list = VendorList::parse(&json).unwrap();
    assert_eq!((list.version(), list.policy_version()), (7, 4));
    assert_eq!(list.vendors().count(), 376);

    let vendor = list.vendor(1).unwrap();
    assert_eq!(vendor.name, "Exponential Interactive, Inc d/b/a VDX.tv");
    let terms = Terms::of(vendor);
    assert_eq!(terms.party(), Party::Vendor(1));
    assert_eq!(terms.basis(1), Some(Basis::Consent));
    assert_eq!(terms.basis(7), Some(Basis::FlexibleConsent));
    assert_eq!(terms.basis(5), None);
    assert_eq!(terms.basis(0), None);
    assert!(terms.feature_2());
    assert!(terms.special_features().is_empty());

    let linking = list
        .vendors()
        .filter(|vendor| Terms::of(vendor).feature_2());
    assert!(linking.count() < 376, "linking devices is not everybody's");
    for cut in (0..json.len()).step_by(1009) {
        assert!(VendorList::parse(&json[..cut]).is_err());
    }
}

fn list(specification: u8, key: &str, vendor: &str) -> Result<VendorList, ListError> {
    let json = format!(
        r#"{{"gvlSpecificationVersion":{specification},"vendorListVersion":1,"tcfPolicyVersion":4,"vendors":{{"{key}":{vendor}}}}}"#
    );
    VendorList::parse(json.as_bytes())
}

fn vendor(purposes: &str, interests: &str, flexible: &str, more: &str) -> String {
    format!(
        r#"{{"id":5,"name":"n","purposes":{purposes},"legIntPurposes":{interests},"flexiblePurposes":{flexible},"specialPurposes":[1],"features":[2],"specialFeatures":[1]{more}}}"#
    )
}

#[test]
fn a_list_that_contradicts_itself_is_refused() {
    let good = vendor("[1,7]", "[2,9]", "[2,7]", "");
    let read = list(2, "5", &good).unwrap();
    let declared = read.vendor(5).unwrap();
    assert_eq!(declared.basis(1), Some(Basis::Consent));
    assert_eq!(declared.basis(2), Some(Basis::FlexibleLegitimateInterest));
    assert_eq!(declared.basis(7), Some(Basis::FlexibleConsent));
    assert_eq!(declared.basis(9), Some(Basis::LegitimateInterest));
    assert_eq!(read.vendor(6), None);

    assert!(matches!(
        list(1, "5", &good),
        Err(ListError::Specification(1))
    ));
    let wrong = |key: &str, vendor: &str| match list(3, key, vendor) {
        Err(ListError::Vendor { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(wrong("6", &good), "its id is not its key");
    assert_eq!(wrong("05", &good), "its id is not its key");
    assert_eq!(
        wrong("5", &vendor("[1,2]", "[2]", "[]", "")),
        "a purpose stands on both bases"
    );
    assert_eq!(
        wrong("5", &vendor("[1]", "[2]", "[3]", "")),
        "a flexible purpose stands on no basis"
    );
    assert_eq!(
        wrong("5", &vendor("[25]", "[]", "[]", "")),
        "a number is not one of 1 to 24"
    );
    assert_eq!(
        wrong("5", &vendor("[0]", "[]", "[]", "")),
        "a number is not one of 1 to 24"
    );
    assert!(matches!(list(3, "5", "{}"), Err(ListError::Json(_))));
}

#[test]
fn a_vendor_that_left_declares_nothing() {
    let deleted = vendor(
        "[1,7]",
        "[]",
        "[]",
        r#","deletedDate":"2023-01-01T00:00:00Z""#,
    );
    let list = list(3, "5", &deleted).unwrap();
    assert_eq!(
        Terms::of(list.vendor(5).unwrap()),
        Terms::new(Party::Vendor(5))
    );
}

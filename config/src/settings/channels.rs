//! `[brand.channels]`: how channels are named.
//!
//! The default list of ignored referrers contains payment providers: a buyer
//! who returns from one of them has not come through it.

use super::{DefaultValue, Section, Setting, SettingsModel, TypedSetting};
use crate::model::{Channels, LabelCase};
use crate::value_type::choice::LABEL_CASES;
use crate::value_type::list::Many;
use crate::value_type::scalar::Text;
use crate::value_type::token::HOST_NAME;

/// An operator's list replaces the default list, so the default can also be
/// emptied.
impl SettingsModel for Channels {
    const SECTION: Section = Section::of::<Channels>(
        "brand.channels",
        "Channels",
        "How the channel of a web record is determined: by its fields, `utm_*` parameters, a click identifier, or an external referrer.",
    );

    fn blank() -> Channels {
        Channels {
            own_hosts: Vec::new(),
            ignored_referrers: Vec::new(),
            case: LabelCase::Keep,
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Channels>] {
        static ROWS: &[&dyn TypedSetting<Channels>] = &[
            &Setting {
                key: "own_hosts",
                value_type: Many {
                    each: HOST_NAME,
                    private: false,
                },
                default: DefaultValue::Toml("[]"),
                unit: "",
                meaning: "The brand's own hosts, including subdomains: they do not count as referrers. The registrable domain of the page itself is always included.",
                field: |channels: &mut Channels| &mut channels.own_hosts,
            },
            &Setting {
                key: "ignored_referrers",
                value_type: Many {
                    each: HOST_NAME,
                    private: false,
                },
                default: DefaultValue::Toml(PAYMENT_PROVIDERS),
                unit: "",
                meaning: "Hosts that do not count as referrers, including subdomains; by default payment providers, from which buyers return. Your own list replaces the default.",
                field: |channels: &mut Channels| &mut channels.ignored_referrers,
            },
            &Setting {
                key: "case",
                value_type: Text(LABEL_CASES),
                default: DefaultValue::Toml(r#""keep""#),
                unit: "",
                meaning: "`lower` converts `source`, `medium` and `campaign` of web records and spend to lower case, so that `Google` and `google` are the same.",
                field: |channels: &mut Channels| &mut channels.case,
            },
        ];
        ROWS
    }
}

/// Payment providers, and the pages on which banks confirm a payment (EMV 3-D
/// Secure).
const PAYMENT_PROVIDERS: &str = r#"["paypal.com", "stripe.com", "klarna.com", "klarna.net", "adyen.com", "mollie.com", "worldpay.com", "worldline.com", "worldline-solutions.com", "sips-services.com", "ingenico.com", "ogone.com", "payzen.eu", "lyra.com", "systempay.fr", "payplug.com", "payline.com", "monext.fr", "e-transactions.fr", "paybox.com", "stancer.com", "sumup.com", "squareup.com", "checkout.com", "braintreegateway.com", "braintree-api.com", "authorize.net", "cybersource.com", "2checkout.com", "paddle.com", "payu.com", "przelewy24.pl", "tpay.com", "redsys.es", "bizum.es", "multisafepay.com", "buckaroo.nl", "ideal.nl", "bancontact.com", "sofort.com", "giropay.de", "paydirekt.de", "unzer.com", "computop-paygate.com", "concardis.com", "saferpay.com", "datatrans.com", "twint.ch", "nexi.it", "vivapayments.com", "afterpay.com", "clearpay.co.uk", "affirm.com", "alma.eu", "getalma.eu", "oney.fr", "oney.com", "cofidis.fr", "floa.fr", "scalapay.com", "zip.co", "pay.google.com", "pay.amazon.com", "payments.amazon.com", "alipay.com", "cardinalcommerce.com", "arcot.com", "3dsecure.io", "wlp-acs.com", "rsa3dsauth.com", "securesuite.net"]"#;

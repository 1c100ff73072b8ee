//! Records of a world in the formats of vendors, as the vendors' own tools would send them.
//!
//! A record keeps what the format can say: identifiers, times, channels, orders and refunds. Each
//! format leaves something out, such as loyalty cards or versions, so that a trace in a vendor's
//! format does not give the same cells as the native one; it gives the same load.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tributary_config::model::Kind;

/// A vendor's format that a world can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// Messages of Segment; web records.
    Segment,
    /// Enriched events of Snowplow as JSON; web records.
    Snowplow,
    /// Posts of the Meraki Scanning API, version 2.1; pings.
    Meraki,
    /// Rows of offline conversions for Google Ads; transactions.
    GoogleOffline,
    /// Events of Meta's Conversions API; transactions.
    Meta,
    /// Rows of the BigQuery export of Google Analytics 4; web records.
    Ga4Bigquery,
}

/// The secret that the posts of a world repeat. Nobody in it exists.
pub const MERAKI_SECRET: &str = "the secret of a simulated network";

impl Vendor {
    /// Every format.
    pub const ALL: [Vendor; 6] = [
        Vendor::Segment,
        Vendor::Snowplow,
        Vendor::Meraki,
        Vendor::GoogleOffline,
        Vendor::Meta,
        Vendor::Ga4Bigquery,
    ];

    /// The name in the configuration.
    ///
    /// ```
    /// use tributary_simulate::Vendor;
    ///
    /// assert_eq!(Vendor::GoogleOffline.name(), "google_offline");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Vendor::Segment => "segment",
            Vendor::Snowplow => "snowplow",
            Vendor::Meraki => "meraki",
            Vendor::GoogleOffline => "google_offline",
            Vendor::Meta => "meta",
            Vendor::Ga4Bigquery => "ga4_bigquery",
        }
    }

    /// The kind of records that it writes; others stay native.
    pub fn kind(self) -> Kind {
        match self {
            Vendor::Segment | Vendor::Snowplow | Vendor::Ga4Bigquery => Kind::Web,
            Vendor::Meraki => Kind::Ping,
            Vendor::GoogleOffline | Vendor::Meta => Kind::Transaction,
        }
    }

    /// The settings of its source in a configuration, in a world of these stores.
    pub(crate) fn settings(self, stores: &[String]) -> String {
        let more = match self {
            // The file lies beside the configuration.
            Vendor::Meraki => "secret_file = \"meraki.secret\"\n".to_owned(),
            // Otherwise the orders of a world would not count for the release of their numbers.
            Vendor::Segment | Vendor::Snowplow | Vendor::Ga4Bigquery => {
                "trust = \"verified\"\n".to_owned()
            }
            // The format has no stores of its own.
            Vendor::GoogleOffline => {
                let stores = stores.iter().map(|name| format!("{name} = \"{name}\""));
                let stores: Vec<String> = stores.collect();
                format!("stores = {{ {} }}\n", stores.join(", "))
            }
            Vendor::Meta => String::new(),
        };
        format!("format = \"{}\"\n{more}", self.name())
    }

    /// The item of a native record; `None` for one that is no JSON object.
    pub(crate) fn item(self, text: &str) -> Option<String> {
        let Ok(Value::Object(record)) = serde_json::from_str(text) else {
            return None;
        };
        let native = Native(record);
        let item = match self {
            Vendor::Segment => segment(&native),
            Vendor::Snowplow => snowplow(&native),
            Vendor::Meraki => meraki(&native),
            Vendor::GoogleOffline => google_offline(&native),
            Vendor::Meta => meta(&native),
            Vendor::Ga4Bigquery => ga4_bigquery(&native),
        };
        Some(without_nulls(item).to_string())
    }
}

/// A native record.
struct Native(Map<String, Value>);

impl Native {
    /// A field as it is; null if absent.
    fn get(&self, field: &str) -> Value {
        self.0.get(field).cloned().unwrap_or(Value::Null)
    }

    /// The characters of a field; empty if it is no string.
    fn text(&self, field: &str) -> &str {
        self.0
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The time, Unix milliseconds; `None` for one that is malformed.
    fn ms(&self) -> Option<i64> {
        match self.0.get("ts")? {
            Value::Number(ms) => ms.as_i64(),
            Value::String(text) => Some(text.parse::<Timestamp>().ok()?.as_millisecond()),
            _ => None,
        }
    }

    /// The time as RFC 3339; a malformed one as it is.
    fn rfc3339(&self) -> Value {
        let time = self
            .ms()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok());
        time.map_or_else(|| self.get("ts"), |time| json!(format!("{time:.3}")))
    }
}

/// A value without members that are null, which is how senders leave out what they do not know.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(
                members
                    .map(|(key, value)| (key, without_nulls(value)))
                    .collect(),
            )
        }
        Value::Array(list) => Value::Array(list.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// A message of Segment.
fn segment(native: &Native) -> Value {
    let (of_type, event) = match native.text("type") {
        "view" => ("page", Value::Null),
        "identify" => ("identify", Value::Null),
        "order" => ("track", json!("Order Completed")),
        "refund" if native.get("amount").is_null() => ("track", json!("Order Cancelled")),
        "refund" => ("track", json!("Order Refunded")),
        "impression" => ("track", json!("Push Notification Received")),
        "click" => ("track", json!("Deep Link Clicked")),
        _ => ("group", Value::Null),
    };
    let campaign = match native.get("source") {
        Value::Null => Value::Null,
        source => {
            json!({"source": source, "medium": native.get("medium"), "name": native.get("campaign")})
        }
    };
    json!({
        "messageId": native.get("id"),
        "type": of_type,
        "event": event,
        // With the time of receipt the time counts as it is.
        "timestamp": native.rfc3339(),
        "receivedAt": native.rfc3339(),
        "anonymousId": native.get("cookie"),
        "userId": native.get("customer"),
        "context": {
            "campaign": campaign,
            "page": {"url": native.get("url"), "referrer": native.get("referrer")},
            "sessionStart": native.get("landing"),
            "traits": {"email": native.get("email"), "phone": native.get("phone")},
            "consent": {"tcString": native.get("tc_string")},
        },
        "properties": {
            "order_id": native.get("order_id"),
            "total": native.get("amount"),
            "currency": native.get("currency"),
        },
    })
}

/// An enriched event of Snowplow.
fn snowplow(native: &Native) -> Value {
    let event = match native.text("type") {
        "order" => "transaction",
        "identify" | "refund" => "page_ping",
        _ => "page_view",
    };
    json!({
        "event_id": native.get("id"),
        "event": event,
        "collector_tstamp": native.rfc3339(),
        "derived_tstamp": native.rfc3339(),
        "domain_userid": native.get("cookie"),
        "user_id": native.get("customer"),
        "page_url": native.get("url"),
        "page_referrer": native.get("referrer"),
        "mkt_source": native.get("source"),
        "mkt_medium": native.get("medium"),
        "mkt_campaign": native.get("campaign"),
        "tr_orderid": native.get("order_id"),
        "tr_total": native.get("amount"),
        "tr_currency": native.get("currency"),
    })
}

/// A post of one observation. A sensor that hashes addresses has no address to send.
fn meraki(native: &Native) -> Value {
    json!({
        "version": "2.1",
        "secret": MERAKI_SECRET,
        "type": "DevicesSeen",
        "data": {
            "apMac": native.get("sensor"),
            "networkId": native.get("store"),
            "observations": [{
                "clientMac": native.get("mac"),
                "seenTime": native.rfc3339(),
                "rssi": native.get("rssi"),
            }],
        },
    })
}

/// A row of conversions or adjustments. A refund retracts its sale.
fn google_offline(native: &Native) -> Value {
    let time = native
        .ms()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let time = match time {
        Some(time) => json!(time.strftime("%Y-%m-%d %H:%M:%S+00:00").to_string()),
        None => native.get("ts"),
    };
    match native.get("refund_of") {
        Value::Null => json!({
            "Conversion Name": "In store",
            "Conversion Time": time,
            "Order ID": native.get("id"),
            "Conversion Value": native.get("amount"),
            "Conversion Currency": native.get("currency"),
            "Email": native.get("email"),
            "Phone Number": native.get("phone"),
            "Store ID": native.get("store"),
        }),
        sale => json!({
            "Order ID": sale,
            "Conversion Name": "In store",
            "Adjustment Type": "RETRACTION",
            "Adjustment Time": time,
            "Store ID": native.get("store"),
        }),
    }
}

/// An event of the Conversions API. It has no refunds.
fn meta(native: &Native) -> Value {
    let name = match native.get("refund_of") {
        Value::Null => "Purchase",
        _ => "Refund",
    };
    json!({
        "event_name": name,
        "event_id": native.get("id"),
        "event_time": native.ms().map(|ms| ms.div_euclid(1000)),
        "action_source": "physical_store",
        "user_data": {
            "em": native.get("email"),
            "ph": native.get("phone"),
            "external_id": native.get("customer"),
        },
        "custom_data": {
            "value": native.get("amount"),
            "currency": native.get("currency"),
            "store_id": native.get("store"),
        },
    })
}

/// A row of the export of Google Analytics 4.
fn ga4_bigquery(native: &Native) -> Value {
    let name = match native.text("type") {
        "order" => "purchase",
        "refund" => "refund",
        "identify" => "login",
        _ => "page_view",
    };
    let param = |key: &str, value: Value| match value {
        Value::Null => Value::Null,
        Value::Bool(is) => json!({"key": key, "value": {"int_value": i32::from(is)}}),
        value => json!({"key": key, "value": {"string_value": value}}),
    };
    let params = [
        param("page_location", native.get("url")),
        param("page_referrer", native.get("referrer")),
        param("entrances", native.get("landing")),
        param("currency", native.get("currency")),
    ];
    let params: Vec<Value> = params
        .into_iter()
        .filter(|param| !param.is_null())
        .collect();
    let revenue = match name {
        "refund" => "refund_value",
        _ => "purchase_revenue",
    };
    json!({
        "event_name": name,
        // What tells rows apart.
        "stream_id": native.get("id"),
        "event_timestamp": native.ms().map(|ms| ms.saturating_mul(1000)),
        "user_pseudo_id": native.get("cookie"),
        "user_id": native.get("customer"),
        "collected_traffic_source": {
            "manual_source": native.get("source"),
            "manual_medium": native.get("medium"),
            "manual_campaign_name": native.get("campaign"),
        },
        "event_params": params,
        "ecommerce": {
            "transaction_id": native.get("order_id"),
            revenue: native.get("amount"),
        },
    })
}

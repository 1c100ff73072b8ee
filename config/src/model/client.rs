//! The client configuration of a brand: what its commands need, without a secret.

use super::Nats;

/// `[client]`: the brand of a client configuration.
#[derive(Clone, Debug)]
pub struct ClientBrand {
    /// The name of the brand.
    pub brand: String,
}

/// A client configuration: the broker, and the brand whose cells and requests
/// the commands concern. It contains no secret of the brand.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The connection to the broker, with the credentials of the brand.
    pub nats: Nats,
    /// The name of the brand.
    pub brand: String,
}

//! Keys that sign receipts: one Ed25519 key pair (RFC 8032) for each secret of a
//! brand.
//!
//! The private key is derived from the brand's name and one of its secrets, so
//! that there is no further file to keep and an exchange of the secret exchanges
//! the key as well. The public key is given to whoever should verify receipts:
//! it verifies and can neither sign nor read anything. A key is named by its
//! thumbprint (RFC 7638), which a receipt states as `kid`, so that several public
//! keys may lie in one file and each receipt finds its own.
//!
//! Public keys are written as PEM (RFC 7468) with a SubjectPublicKeyInfo
//! (RFC 8410), which `openssl` reads, or as JSON Web Keys (RFC 8037).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::{Zeroizing, zeroize_stack};

/// A SubjectPublicKeyInfo of an Ed25519 key up to the 32 bytes of the key
/// (RFC 8410, section 4).
const SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// First line of a public key.
const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
/// Last line of a public key.
const END: &str = "-----END PUBLIC KEY-----";

/// A public key that verifies receipts of one brand.
///
/// # Example
///
/// ```
/// use secrecy::SecretString;
/// use tributary_rights::{BrandKeys, PublicKey};
///
/// let keys = BrandKeys::new("acme", &SecretString::from("s".repeat(40)));
/// let key = keys.signing_key();
/// let pem = key.to_pem();
/// assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n"));
/// assert_eq!(PublicKey::read_pem(&pem)?, vec![key]);
/// # Ok::<(), tributary_rights::KeyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// The key.
    key: VerifyingKey,
    /// Its thumbprint.
    id: String,
}

/// Reason why a file of public keys cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no public key in it.
    #[error("contains no PEM block `PUBLIC KEY`; `tributary keys public` prints one")]
    Missing,
    /// A public key that is not an Ed25519 key.
    #[error("contains a public key that is not Ed25519, with which receipts are signed")]
    NotEd25519,
}

/// How much of the stack is overwritten after a signature, bytes; more than it takes.
const SIGN_STACK: usize = 16 << 10;

/// The private key of one secret.
#[derive(Clone)]
pub(crate) struct ReceiptSigner {
    /// Seed of the key pair.
    seed: Zeroizing<[u8; 32]>,
    /// The public key.
    public: PublicKey,
}

impl ReceiptSigner {
    /// The key pair with this seed.
    pub fn new(seed: Zeroizing<[u8; 32]>) -> ReceiptSigner {
        let key = SigningKey::from_bytes(&seed).verifying_key();
        ReceiptSigner {
            public: PublicKey::new(key),
            seed,
        }
    }

    /// The public key.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The signature of bytes.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        let signature = self.signature(bytes);
        zeroize_stack::<SIGN_STACK>();
        signature
    }

    /// [`ReceiptSigner::sign`] before the stack is overwritten.
    #[inline(never)]
    fn signature(&self, bytes: &[u8]) -> [u8; 64] {
        SigningKey::from_bytes(&self.seed).sign(bytes).to_bytes()
    }
}

impl PublicKey {
    /// A key with its thumbprint.
    fn new(key: VerifyingKey) -> PublicKey {
        let x = URL_SAFE_NO_PAD.encode(key.as_bytes());
        // The required members in alphabetical order, without spaces (RFC 7638, section 3).
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let id = URL_SAFE_NO_PAD.encode(Sha256::digest(members));
        PublicKey { key, id }
    }

    /// Its thumbprint, which receipts state as `kid`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key as PEM, with an end of line.
    pub fn to_pem(&self) -> String {
        let mut der = SPKI.to_vec();
        der.extend_from_slice(self.key.as_bytes());
        format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(der))
    }

    /// The key as a JSON Web Key.
    pub fn to_jwk(&self) -> Value {
        json!({
            "alg": "EdDSA",
            "crv": "Ed25519",
            "kid": self.id,
            "kty": "OKP",
            "use": "sig",
            "x": URL_SAFE_NO_PAD.encode(self.key.as_bytes()),
        })
    }

    /// Reads every public key of a PEM text; other blocks and text between them
    /// are passed over.
    ///
    /// # Errors
    ///
    /// A text without a public key, or with one of another kind.
    pub fn read_pem(text: &str) -> Result<Vec<PublicKey>, KeyError> {
        let mut keys = Vec::new();
        let mut rest = text;
        while let Some((_, behind)) = rest.split_once(BEGIN) {
            let (body, after) = behind.split_once(END).ok_or(KeyError::Missing)?;
            let body: String = body.split_ascii_whitespace().collect();
            let der = STANDARD.decode(body).map_err(|_| KeyError::NotEd25519)?;
            let key: Option<&[u8; 32]> = der
                .strip_prefix(&SPKI)
                .and_then(|bytes| bytes.try_into().ok());
            let key = key.and_then(|bytes| VerifyingKey::from_bytes(bytes).ok());
            keys.push(PublicKey::new(key.ok_or(KeyError::NotEd25519)?));
            rest = after;
        }
        match keys.is_empty() {
            true => Err(KeyError::Missing),
            false => Ok(keys),
        }
    }

    /// Whether this is the key's signature of these bytes. Keys of low order and
    /// signatures that are not canonical are refused.
    pub(crate) fn verifies(&self, bytes: &[u8], signature: &[u8; 64]) -> bool {
        let signature = Signature::from_bytes(signature);
        self.key.verify_strict(bytes, &signature).is_ok()
    }
}

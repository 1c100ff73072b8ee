//! Certificates of processes that connect with TLS, as an operator makes them with openssl.

use std::path::Path;

use tributary_testkit::openssl;

/// What `openssl ca` needs to issue a certificate of the past.
const CA: &str = "[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\nnew_certs_dir=.\nserial=serial\ndefault_md=sha256\n\
                  policy=any\n[any]\ncommonName=supplied\n";

/// The authority of the cluster, another one, and certificates: `worker`, `expired` and `elsewhere`, whose name is another, of
/// the first, and `stranger` of the second. False without openssl.
pub fn certificates(directory: &Path) -> bool {
    let made = |arguments: &str| openssl(directory, arguments);
    if !made("version") {
        return false;
    }
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    for name in ["ca", "other"] {
        made(&format!(
            "req -x509 {new} -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"
        ));
    }
    let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
    write("worker.names", "subjectAltName=IP:127.0.0.1\n");
    write("elsewhere.names", "subjectAltName=DNS:worker.example\n");
    write("ca.cnf", CA);
    write("index.txt", "");
    write("serial", "1000\n");
    for (name, authority, names) in [
        ("worker", "ca", "worker"),
        ("elsewhere", "ca", "elsewhere"),
        ("stranger", "other", "worker"),
        ("expired", "ca", "worker"),
    ] {
        made(&format!(
            "req {new} -subj /CN={name} -keyout {name}.key -out {name}.csr"
        ));
        made(&match name {
            "expired" => format!(
                "ca -batch -config ca.cnf -cert ca.pem -keyfile ca.key -in {name}.csr -extfile {names}.names -startdate \
                 20200101000000Z -enddate 20200201000000Z -out {name}.pem -notext"
            ),
            _ => format!(
                "x509 -req -days 2 -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial -extfile \
                 {names}.names -out {name}.pem"
            ),
        });
    }
    true
}

/// The settings of a process that shows a certificate.
pub fn tls(authority: &str, name: &str) -> String {
    format!(
        "tls_ca_file = \"{authority}.pem\"\ntls_cert_file = \"{name}.pem\"\ntls_key_file = \"{name}.key\"\n"
    )
}

import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import NameOID


def fails(error, function, *arguments):
    try:
        function(*arguments)
    except error:
        return True
    return False


text = b"a confidential text"
digest = hashes.Hash(hashes.SHA256())
digest.update(b"abc")
assert digest.finalize().hex().startswith("ba7816bf8f01cfea")
code = hmac.HMAC(b"key", hashes.SHA256())
code.update(text)
assert fails(InvalidSignature, code.verify, bytes(32))
fernet = Fernet(Fernet.generate_key())
assert fernet.decrypt(fernet.encrypt(text)) == text
assert fails(InvalidToken, Fernet(Fernet.generate_key()).decrypt, fernet.encrypt(text))
for aead in (AESGCM(AESGCM.generate_key(256)), ChaCha20Poly1305(ChaCha20Poly1305.generate_key())):
    sealed = aead.encrypt(bytes(12), text, b"header")
    assert aead.decrypt(bytes(12), sealed, b"header") == text
    assert fails(InvalidTag, aead.decrypt, bytes(12), sealed, b"other")
encryptor = Cipher(algorithms.AES(bytes(16)), modes.CTR(bytes(16))).encryptor()
assert encryptor.update(bytes(16)).hex() == "66e94bd4ef8a2c3b884cfa59ca342b2e"

key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
signature = key.sign(text, pss, hashes.SHA256())
key.public_key().verify(signature, text, pss, hashes.SHA256())
assert fails(InvalidSignature, key.public_key().verify, signature, b"another", pss, hashes.SHA256())
elliptic = ec.generate_private_key(ec.SECP256R1())
signature = elliptic.sign(text, ec.ECDSA(hashes.SHA256()))
elliptic.public_key().verify(signature, text, ec.ECDSA(hashes.SHA256()))
edwards = ed25519.Ed25519PrivateKey.generate()
edwards.public_key().verify(edwards.sign(text), text)
ours, theirs = x25519.X25519PrivateKey.generate(), x25519.X25519PrivateKey.generate()
shared = ours.exchange(theirs.public_key())
assert shared == theirs.exchange(ours.public_key())
assert len(HKDF(hashes.SHA256(), 32, None, b"info").derive(shared)) == 32

encrypted = serialization.BestAvailableEncryption(b"password")
pem = elliptic.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encrypted
)
loaded = serialization.load_pem_private_key(pem, b"password")
assert loaded.private_numbers() == elliptic.private_numbers()
assert fails(ValueError, serialization.load_pem_private_key, pem, b"wrong")
name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "eryx.example")])
now = datetime.datetime.now(datetime.UTC)
certificate = (
    x509.CertificateBuilder()
    .subject_name(name)
    .issuer_name(name)
    .public_key(elliptic.public_key())
    .serial_number(x509.random_serial_number())
    .not_valid_before(now)
    .not_valid_after(now + datetime.timedelta(days=1))
    .add_extension(x509.SubjectAlternativeName([x509.DNSName("eryx.example")]), critical=False)
    .sign(elliptic, hashes.SHA256())
)
parsed = x509.load_pem_x509_certificate(certificate.public_bytes(serialization.Encoding.PEM))
parsed.verify_directly_issued_by(parsed)
assert parsed.subject.rfc4514_string() == "CN=eryx.example"

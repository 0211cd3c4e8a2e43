// SPDX-License-Identifier: Apache-2.0
// Makes the keys beside it as "cosign generate-key-pair" does: with the library that cosign encrypts its keys with (v0.11.1).
// Keys for tests only: their passwords are holdfast-test and empty.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

func must(e error) {
	if e != nil {
		panic(e)
	}
}

func main() {
	for name, password := range map[string]string{"cosign": "holdfast-test", "empty": ""} {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		der, err := x509.MarshalPKCS8PrivateKey(k)
		must(err)
		box, err := encrypted.Encrypt(der, []byte(password))
		must(err)
		pub, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
		must(err)
		must(os.WriteFile(name+".key", pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: box}), 0600))
		must(os.WriteFile(name+".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}), 0644))
	}
}

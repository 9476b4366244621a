#ifndef CONGVAN_COPENSSL_SHIM_H
#define CONGVAN_COPENSSL_SHIM_H
#include <openssl/evp.h>
#endif

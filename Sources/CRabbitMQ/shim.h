#ifndef CONGVAN_CRABBITMQ_SHIM_H
#define CONGVAN_CRABBITMQ_SHIM_H

#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/time.h>

// rabbitmq-c moved its headers into a directory in 0.12; Debian 12 has 0.11.
#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/ssl_socket.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#endif

// eventfd(2) is not in Swift's Glibc module. -1 when the process has no descriptor left.
static inline int congvan_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

static inline amqp_table_entry_t congvan_text_entry(const char *key, const char *value) {
  amqp_table_entry_t entry;
  entry.key = amqp_cstring_bytes(key);
  entry.value.kind = AMQP_FIELD_KIND_UTF8;
  entry.value.value.bytes = amqp_cstring_bytes(value);
  return entry;
}

static inline amqp_table_entry_t congvan_true_entry(const char *key) {
  amqp_table_entry_t entry;
  entry.key = amqp_cstring_bytes(key);
  entry.value.kind = AMQP_FIELD_KIND_BOOLEAN;
  entry.value.value.boolean = 1;
  return entry;
}

// amqp_login_with_properties is C-variadic, so Swift cannot call it. A password of NULL means the
// SASL mechanism EXTERNAL; the identity sent with it must not be empty (0.11 reports an empty one
// as "could not allocate memory"). The strings are only borrowed for the call: the library encodes
// them before it returns. Without the capabilities the broker neither says that a consumer was
// cancelled nor that it blocks publishers (alanxz/rabbitmq-c#161, #511).
static inline amqp_rpc_reply_t congvan_login(amqp_connection_state_t state, const char *vhost,
                                             int heartbeat, const char *connection_name,
                                             const char *product, const char *version,
                                             const char *user, const char *password) {
  amqp_table_entry_t capabilities[6] = {
      congvan_true_entry("consumer_cancel_notify"),
      congvan_true_entry("connection.blocked"),
      congvan_true_entry("publisher_confirms"),
      congvan_true_entry("basic.nack"),
      congvan_true_entry("authentication_failure_close"),
      congvan_true_entry("exchange_exchange_bindings"),
  };
  amqp_table_entry_t properties[4] = {
      congvan_text_entry("product", product),
      congvan_text_entry("version", version),
      congvan_text_entry("connection_name", connection_name),
  };
  amqp_table_t table = {4, properties};
  properties[3].key = amqp_cstring_bytes("capabilities");
  properties[3].value.kind = AMQP_FIELD_KIND_TABLE;
  properties[3].value.value.table.num_entries = 6;
  properties[3].value.value.table.entries = capabilities;
  if (password == NULL) {
    return amqp_login_with_properties(state, vhost, 0, AMQP_DEFAULT_FRAME_SIZE, heartbeat, &table,
                                      AMQP_SASL_METHOD_EXTERNAL, user);
  }
  return amqp_login_with_properties(state, vhost, 0, AMQP_DEFAULT_FRAME_SIZE, heartbeat, &table,
                                    AMQP_SASL_METHOD_PLAIN, user, password);
}

#endif

;; The Python module `_eryx_bindings`: the functions of the WIT contract that take or return bytes,
;; called without copies, and those that every connection needs.
;;
;; componentize-py lowers a `list<u8>` argument by copying it to memory that it never frees, so a
;; program would lose as much memory as it sends. Here the bytes stay in Python's memory: a function
;; takes any object with the buffer protocol and passes its address to the host. The host returns
;; bytes in a `bytes` object, which `cabi_realloc` creates when the host announces their number.
;;
;;     on_error(function, None)           sets the function that raises an error
;;     tcp_connect(host, port)            the host name in UTF-8
;;     tcp_finish(handle, timeout)        the timeout in nanoseconds, None for none
;;     tcp_drop(handle)
;;     tcp_read(handle, max, timeout)
;;     tcp_write(handle, data, timeout)
;;     tls_info(handle)
;;     tls_read(handle, max)
;;     tls_feed(handle, ciphertext)
;;     tls_write(handle, plaintext)
;;     udp_send(handle, data, timeout)
;;     udp_send_to(handle, data, host, port, timeout)
;;     poll(readable, writable, receivable, sendable, lookups, calls, timeout)
;;                                        each list a buffer of 32-bit handles
;;     resolve(name, port, family)        the port 0 for any, the family's position in its enum
;;     call_invoke(name, arguments)       the name of a function in UTF-8, and JSON
;;     call_start(name, arguments)
;;     call_finish(handle, timeout)
;;     call_drop(handle)
;;
;; `poll` returns six `bytes` of 32-bit positions, the reading functions, `resolve`, `call_invoke`
;; and `call_finish` return `bytes`, and `tcp_connect` and `call_start` return a handle. For a `failure`
;; of eryx:host/functions, these three return a tuple: empty for `would-block`, else the type and the
;; message of the exception. `tls_info` returns the fields of an `info` of
;; eryx:net/tls as a tuple, with the positions of enums in their place and a tuple of the chain, or an
;; empty tuple for none. Each of the others returns the number of bytes taken,
;; or any number if it takes none. The function of `on_error` gets a tuple that names an `error` of
;; eryx:net/types: its position in the variant, then its text if it has one. For `tls`, the position
;; in `tls-error`, the code of a certificate error (else 0) and the text follow.
(module
  (@dylink.0 (mem-info (memory 1604 3) (table 18 0)))

  (import "env" "memory" (memory 0))
  (import "env" "__indirect_function_table" (table 0 funcref))
  (import "env" "__memory_base" (global $base i32))
  (import "env" "__table_base" (global $table i32))

  (import "env" "Py_IncRef" (func $Py_IncRef (param i32)))
  (import "env" "Py_DecRef" (func $Py_DecRef (param i32)))
  (import "env" "PyObject_CallOneArg" (func $PyObject_CallOneArg (param i32 i32) (result i32)))
  (import "env" "PyBytes_AsString" (func $PyBytes_AsString (param i32) (result i32)))
  (import "env" "free" (func $free (param i32)))
  (import "env" "realloc" (func $realloc (param i32 i32) (result i32)))
  (import "env" "PyModule_Create2" (func $PyModule_Create2 (param i32 i32) (result i32)))
  (import "env" "PyObject_GetBuffer" (func $PyObject_GetBuffer (param i32 i32 i32) (result i32)))
  (import "env" "PyBuffer_Release" (func $PyBuffer_Release (param i32)))
  (import "env" "PyErr_Occurred" (func $PyErr_Occurred (result i32)))
  (import "env" "PyErr_BadArgument" (func $PyErr_BadArgument (result i32)))
  (import "env" "PyLong_AsLong" (func $PyLong_AsLong (param i32) (result i32)))
  (import "env" "PyLong_AsUnsignedLong" (func $PyLong_AsUnsignedLong (param i32) (result i32)))
  (import "env" "PyLong_AsLongLong" (func $PyLong_AsLongLong (param i32) (result i64)))
  (import "env" "PyLong_FromUnsignedLong" (func $PyLong_FromUnsignedLong (param i32) (result i32)))
  (import "env" "PyUnicode_FromStringAndSize"
    (func $PyUnicode_FromStringAndSize (param i32 i32) (result i32)))
  (import "env" "PyTuple_New" (func $PyTuple_New (param i32) (result i32)))
  (import "env" "PyTuple_SetItem" (func $PyTuple_SetItem (param i32 i32 i32) (result i32)))

  (import "env" "PyBytes_FromStringAndSize"
    (func $PyBytes_FromStringAndSize (param i32 i32) (result i32)))

  (import "eryx:net/poll@0.1.0" "poll"
    (func $poll (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i32)))
  (import "eryx:net/resolver@0.1.0" "resolve"
    (func $resolver.resolve (param i32 i32 i32 i32 i32 i32)))
  (import "eryx:host/functions@0.1.0" "invoke"
    (func $invoke (param i32 i32 i32 i32 i32)))
  (import "eryx:host/functions@0.1.0" "[static]call.start"
    (func $call.start (param i32 i32 i32 i32 i32)))
  (import "eryx:host/functions@0.1.0" "[method]call.finish"
    (func $call.finish (param i32 i32 i64 i32)))
  (import "eryx:host/functions@0.1.0" "[resource-drop]call"
    (func $call.drop (param i32)))
  (import "eryx:net/tcp@0.1.0" "[static]connection.connect"
    (func $connection.connect (param i32 i32 i32 i32)))
  (import "eryx:net/tcp@0.1.0" "[method]connection.finish-connect"
    (func $connection.finish (param i32 i32 i64 i32)))
  (import "eryx:net/tcp@0.1.0" "[resource-drop]connection"
    (func $connection.drop (param i32)))
  (import "eryx:net/tcp@0.1.0" "[method]connection.tls-info"
    (func $connection.tls_info (param i32 i32)))
  (import "eryx:net/tcp@0.1.0" "[method]connection.read"
    (func $connection.read (param i32 i32 i32 i64 i32)))
  (import "eryx:net/tcp@0.1.0" "[method]connection.write"
    (func $connection.write (param i32 i32 i32 i32 i64 i32)))
  (import "eryx:net/udp@0.1.0" "[method]socket.send"
    (func $socket.send (param i32 i32 i32 i32 i64 i32)))
  (import "eryx:net/udp@0.1.0" "[method]socket.send-to"
    (func $socket.send-to (param i32 i32 i32 i32 i32 i32 i32 i64 i32)))
  (import "eryx:net/tls@0.1.0" "[method]session.read"
    (func $session.read (param i32 i32 i32)))
  (import "eryx:net/tls@0.1.0" "[method]session.feed"
    (func $session.feed (param i32 i32 i32 i32)))
  (import "eryx:net/tls@0.1.0" "[method]session.write"
    (func $session.write (param i32 i32 i32 i32)))

  ;; From $base: a PyModuleDef (52 bytes) at 0; a Py_buffer (44 bytes) at 120; a result<u32, error>,
  ;; a result<_, error> or a result with a `failure` (24 bytes each) at 168; names from 192; a second
  ;; Py_buffer at 344; at 624 whether the host will return bytes, at 628 the object that holds them;
  ;; the function of `on_error` at 632 and None at 636; more names from 640 and from 848; the six
  ;; Py_buffers of `poll` from 920, one each 48 bytes; a `ready` (48 bytes) at 1208;
  ;; nineteen PyMethodDef (16 bytes each, the last all zero) at 1256; an option<info> (44 bytes) at
  ;; 1560.
  (data (global.get $base)
    "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\ff\ff\ff\ff\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (offset (i32.add (global.get $base) (i32.const 192))) "_eryx_bindings\00")
  (data (offset (i32.add (global.get $base) (i32.const 208))) "tcp_write\00")
  (data (offset (i32.add (global.get $base) (i32.const 224))) "tls_feed\00")
  (data (offset (i32.add (global.get $base) (i32.const 240))) "tls_write\00")
  (data (offset (i32.add (global.get $base) (i32.const 256))) "poll\00")
  (data (offset (i32.add (global.get $base) (i32.const 264))) "udp_send\00")
  (data (offset (i32.add (global.get $base) (i32.const 280))) "udp_send_to\00")

  (data (offset (i32.add (global.get $base) (i32.const 296))) "tcp_read\00")
  (data (offset (i32.add (global.get $base) (i32.const 312))) "tls_read\00")
  (data (offset (i32.add (global.get $base) (i32.const 640))) "call_start\00")
  (data (offset (i32.add (global.get $base) (i32.const 656))) "call_finish\00")
  (data (offset (i32.add (global.get $base) (i32.const 672))) "call_drop\00")
  (data (offset (i32.add (global.get $base) (i32.const 688))) "call_invoke\00")
  (data (offset (i32.add (global.get $base) (i32.const 704))) "resolve\00")
  (data (offset (i32.add (global.get $base) (i32.const 712))) "tls_info\00")
  (data (offset (i32.add (global.get $base) (i32.const 848))) "tcp_connect\00")
  (data (offset (i32.add (global.get $base) (i32.const 864))) "tcp_finish\00")
  (data (offset (i32.add (global.get $base) (i32.const 880))) "tcp_drop\00")
  (data (offset (i32.add (global.get $base) (i32.const 896))) "on_error\00")

  (elem (global.get $table) func
    $tcp_write $tls_feed $tls_write $poll_lists $udp_send $udp_send_to $tcp_read $tls_read
    $tcp_connect $tcp_finish $tcp_drop $on_error $call_start $call_finish $call_drop
    $call_invoke $resolve $tls_info)

  ;; Returns the address of the data at this offset from $base.
  (func $relocate (param $offset i32) (result i32)
    (i32.add (global.get $base) (local.get $offset)))

  (func $method (param $at i32) (param $name i32) (param $function i32)
    (i32.store (local.get $at) (call $relocate (local.get $name)))
    (i32.store offset=4 (local.get $at) (i32.add (global.get $table) (local.get $function)))
    ;; METH_FASTCALL
    (i32.store offset=8 (local.get $at) (i32.const 0x80)))

  (func (export "PyInit__eryx_bindings") (result i32)
    (call $method (call $relocate (i32.const 1256)) (i32.const 208) (i32.const 0))
    (call $method (call $relocate (i32.const 1272)) (i32.const 224) (i32.const 1))
    (call $method (call $relocate (i32.const 1288)) (i32.const 240) (i32.const 2))
    (call $method (call $relocate (i32.const 1304)) (i32.const 256) (i32.const 3))
    (call $method (call $relocate (i32.const 1320)) (i32.const 264) (i32.const 4))
    (call $method (call $relocate (i32.const 1336)) (i32.const 280) (i32.const 5))
    (call $method (call $relocate (i32.const 1352)) (i32.const 296) (i32.const 6))
    (call $method (call $relocate (i32.const 1368)) (i32.const 312) (i32.const 7))
    (call $method (call $relocate (i32.const 1384)) (i32.const 848) (i32.const 8))
    (call $method (call $relocate (i32.const 1400)) (i32.const 864) (i32.const 9))
    (call $method (call $relocate (i32.const 1416)) (i32.const 880) (i32.const 10))
    (call $method (call $relocate (i32.const 1432)) (i32.const 896) (i32.const 11))
    (call $method (call $relocate (i32.const 1448)) (i32.const 640) (i32.const 12))
    (call $method (call $relocate (i32.const 1464)) (i32.const 656) (i32.const 13))
    (call $method (call $relocate (i32.const 1480)) (i32.const 672) (i32.const 14))
    (call $method (call $relocate (i32.const 1496)) (i32.const 688) (i32.const 15))
    (call $method (call $relocate (i32.const 1512)) (i32.const 704) (i32.const 16))
    (call $method (call $relocate (i32.const 1528)) (i32.const 712) (i32.const 17))
    ;; m_name, m_methods
    (i32.store offset=20 (global.get $base) (call $relocate (i32.const 192)))
    (i32.store offset=32 (global.get $base) (call $relocate (i32.const 1256)))
    ;; PYTHON_API_VERSION
    (call $PyModule_Create2 (global.get $base) (i32.const 1013)))

  (func $on_error (param $self i32) (param $args i32) (param $count i32) (result i32)
    (if (i32.ne (local.get $count) (i32.const 2)) (then (return (call $bad_argument))))
    (call $Py_IncRef (i32.load (local.get $args)))
    (i32.store offset=632 (global.get $base) (i32.load (local.get $args)))
    (i32.store offset=636 (global.get $base) (i32.load offset=4 (local.get $args)))
    (call $PyLong_FromUnsignedLong (i32.const 0)))

  ;; Returns a timeout in nanoseconds, negative for None.
  (func $timeout (param $value i32) (result i64)
    (if (i32.eq (local.get $value) (i32.load offset=636 (global.get $base))) (then (return (i64.const -1))))
    (call $PyLong_AsLongLong (local.get $value)))

  (func $tcp_connect (param $self i32) (param $args i32) (param $count i32) (result i32)
    (local $port i32)
    (if (i32.ne (local.get $count) (i32.const 2)) (then (return (call $bad_argument))))
    (local.set $port (call $PyLong_AsLong (i32.load offset=4 (local.get $args))))
    (if (call $PyErr_Occurred) (then (return (i32.const 0))))
    (if (i32.gt_u (local.get $port) (i32.const 0xffff)) (then (return (call $bad_argument))))
    (if (call $PyObject_GetBuffer (i32.load (local.get $args)) (call $relocate (i32.const 120)) (i32.const 0))
      (then (return (i32.const 0))))
    (call $connection.connect
      (i32.load offset=120 (global.get $base))
      (i32.load offset=128 (global.get $base))
      (local.get $port)
      (call $relocate (i32.const 168)))
    (call $release_and_return (call $result_object) (call $is_error)))

  (func $resolve (param $self i32) (param $args i32) (param $count i32) (result i32)
    (local $port i32) (local $family i32) (local $result i32)
    (if (i32.ne (local.get $count) (i32.const 3)) (then (return (call $bad_argument))))
    (local.set $port (call $PyLong_AsLong (i32.load offset=4 (local.get $args))))
    (local.set $family (call $PyLong_AsLong (i32.load offset=8 (local.get $args))))
    (if (call $PyErr_Occurred) (then (return (i32.const 0))))
    (if (i32.gt_u (local.get $port) (i32.const 0xffff)) (then (return (call $bad_argument))))
    (if (i32.gt_u (local.get $family) (i32.const 2)) (then (return (call $bad_argument))))
    (if (call $PyObject_GetBuffer (i32.load (local.get $args)) (call $relocate (i32.const 120)) (i32.const 0))
      (then (return (i32.const 0))))
    (call $expect_bytes)
    (call $resolver.resolve
      (i32.load offset=120 (global.get $base))
      (i32.load offset=128 (global.get $base))
      (i32.ne (local.get $port) (i32.const 0))
      (local.get $port)
      (local.get $family)
      (call $relocate (i32.const 168)))
    (local.set $result (call $take_bytes))
    (call $release_and_return (local.get $result) (i32.const 0)))

  (func $tcp_finish (param $self i32) (param $args i32) (param $count i32) (result i32)
    (local $handle i32) (local $timeout i64)
    (if (i32.ne (local.get $count) (i32.const 2)) (then (return (call $bad_argument))))
    (local.set $handle (call $PyLong_AsLong (i32.load (local.get $args))))
    (local.set $timeout (call $timeout (i32.load offset=4 (local.get $args))))
    (if (call $PyErr_Occurred) (then (return (i32.const 0))))
    (call $connection.finish
      (local.get $handle)
      (i64.ge_s (local.get $timeout) (i64.const 0))
      (local.get $timeout)
      (call $relocate (i32.const 168)))
    (if (call $is_error) (then (return (call $raise (call $result_object)))))
    (call $result_object))

  (func $tcp_drop (param $self i32) (param $args i32) (param $count i32) (result i32)
    (local $handle i32)
    (if (i32.ne (local.get $count) (i32.const 1)) (then (return (call $bad_argument))))
    (local.set $handle (call $PyLong_AsLong (i32.load (local.get $args))))
    (if (call $PyErr_Occurred) (then (return (i32.const 0))))
    (call $connection.drop (local.get $handle))
    (call $PyLong_FromUnsignedLong (i32.const 0)))

  (func $tls_info (param $self i32) (param $args i32) (param $count i32) (result i32)
    (local $handle i32) (local $at i32) (local $info i32)
    (if (i32.ne (local.get $count) (i32.const 1)) (then (return (call $bad_argument))))
    (local.set $handle (call $PyLong_AsLong (i32.load (local.get $args))))
    (if (call $PyErr_Occurred) (then (return (i32.const 0))))
    (local.set $at (call $relocate (i32.const 1560)))
    (call $connection.tls_info (local.get $handle) (local.get $at))
    (if (i32.eqz (i32.load8_u (local.get $at))) (then (return (call $PyTuple_New (i32.const 0)))))
    (local.set $info (call $PyTuple_New (i32.const 6)))
    (if (i32.eqz (local.get $info)) (then (return (i32.const 0))))
    (drop (call $PyTuple_SetItem (local.get $info) (i32.const 0)
      (call $PyLong_FromUnsignedLong (i32.load8_u offset=4 (local.get $at)))))
    (drop (call $PyTuple_SetItem (local.get $info) (i32.const 1)
      (call $take_text (i32.add (local.get $at) (i32.const 8)))))
    (drop (call $PyTuple_SetItem (local.get $info) (i32.const 2)
      (call $PyLong_FromUnsignedLong (i32.load16_u offset=16 (local.get $at)))))
    (drop (call $PyTuple_SetItem (local.get $info) (i32.const 3)
      (if (result i32) (i32.load8_u offset=20 (local.get $at))
        (then (call $take_list (i32.add (local.get $at) (i32.const 24))))
        (else
          (call $Py_IncRef (i32.load offset=636 (global.get $base)))
          (i32.load offset=636 (global.get $base))))))
    (drop (call $PyTuple_SetItem (local.get $info) (i32.const 4)
      (call $take_lists (i32.add (local.get $at) (i32.const 32)))))
    (drop (call $PyTuple_SetItem (local.get $info) (i32.const 5)
      (call $PyLong_FromUnsignedLong (i32.load8_u offset=40 (local.get $at)))))
    (local.get $info))

  ;; Returns the list<list<u8>> whose address and length are at $at as a tuple of `bytes`, and frees
  ;; its memory.
  (func $take_lists (param $at i32) (result i32)
    (local $lists i32) (local $index i32) (local $count i32)
    (local.set $count (i32.load offset=4 (local.get $at)))
    (local.set $lists (call $PyTuple_New (local.get $count)))
    (if (i32.eqz (local.get $lists)) (then (return (i32.const 0))))
    (if (i32.eqz (local.get $count)) (then (return (local.get $lists))))
    (loop $next
      (drop (call $PyTuple_SetItem (local.get $lists) (local.get $index)
        (call $take_list
          (i32.add (i32.load (local.get $at)) (i32.shl (local.get $index) (i32.const 3))))))
      (local.set $index (i32.add (local.get $index) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $index) (local.get $count))))
    (call $free (i32.load (local.get $at)))
    (local.get $lists))

  ;; Returns the list<u8> whose address and length are at $at as `bytes`, and frees its memory.
  (func $take_list (param $at i32) (result i32)
    (local $bytes i32)
    (local.set $bytes
      (call $PyBytes_FromStringAndSize (i32.load (local.get $at)) (i32.load offset=4 (local.get $at))))
    (if (i32.load offset=4 (local.get $at)) (then (call $free (i32.load (local.get $at)))))
    (local.get $bytes))

  (func $tcp_read (param $self i32) (param $args i32) (param $count i32) (result i32)
    (local $handle i32) (local $max i32) (local $timeout i64)
    (if (i32.ne (local.get $count) (i32.const 3)) (then (return (call $bad_argument))))
    (local.set $handle (call $PyLong_AsLong (i32.load (local.get $args))))
    (local.set $max (call $PyLong_AsUnsignedLong (i32.load offset=4 (local.get $args))))
    (local.set $timeout (call $timeout (i32.load offset=8 (local.get $args))))
    (if (call $PyErr_Occurred) (then (return (i32.const 0))))
    (call $expect_bytes)
    (call $connection.read
      (local.get $handle)
      (local.get $max)
      (i64.ge_s (local.get $timeout) (i64.const 0))
      (local.get $timeout)
      (call $relocate (i32.const 168)))
    (call $take_bytes))

  (func $tls_read (param $self i32) (param $args i32) (param $count i32) (result i32)
    (local $handle i32) (local $max i32)
    (if (i32.ne (local.get $count) (i32.const 2)) (then (return (call $bad_argument))))
    (local.set $handle (call $PyLong_AsLong (i32.load (local.get $args))))
    (local.set $max (call $PyLong_AsUnsignedLong (i32.load offset=4 (local.get $args))))
    (if (call $PyErr_Occurred) (then (return (i32.const 0))))
    (call $expect_bytes)
    (call $session.read (local.get $handle) (local.get $max) (call $relocate (i32.const 168)))
    (call $take_bytes))

  ;; Makes the next allocation of the host a `bytes` object.
  (func $expect_bytes
    (i32.store offset=624 (global.get $base) (i32.const 1))
    (i32.store offset=628 (global.get $base) (i32.const 0)))

  ;; Returns the bytes of the host, or raises its error, whose text is in a `bytes` as well.
  (func $take_bytes (result i32)
    (local $value i32) (local $result i32)
    (i32.store offset=624 (global.get $base) (i32.const 0))
    (local.set $value (i32.load offset=628 (global.get $base)))
    (if (i32.eqz (i32.load8_u offset=168 (global.get $base)))
      (then
        (i32.store offset=628 (global.get $base) (i32.const 0))
        (if (local.get $value) (then (return (local.get $value))))
        (return (call $PyBytes_FromStringAndSize (i32.const 0) (i32.const 0)))))
    (local.set $result (call $result_object))
    (i32.store offset=628 (global.get $base) (i32.const 0))
    (if (local.get $value) (then (call $Py_DecRef (local.get $value))))
    (call $raise (local.get $result)))

  (func $tcp_write (param $self i32) (param $args i32) (param $count i32) (result i32)
    (local $handle i32) (local $timeout i64) (local $bytes i32) (local $size i32)
    (if (i32.ne (local.get $count) (i32.const 3)) (then (return (call $bad_argument))))
    (local.set $handle (call $PyLong_AsLong (i32.load (local.get $args))))
    (local.set $timeout (call $timeout (i32.load offset=8 (local.get $args))))
    (if (call $PyErr_Occurred) (then (return (i32.const 0))))
    (if (call $PyObject_GetBuffer (i32.load offset=4 (local.get $args)) (call $relocate (i32.const 120)) (i32.const 0))
      (then (return (i32.const 0))))
    (call $connection.write
      (local.get $handle)
      (i32.load offset=120 (global.get $base))
      (i32.load offset=128 (global.get $base))
      (i64.ge_s (local.get $timeout) (i64.const 0))
      (local.get $timeout)
      (call $relocate (i32.const 168)))
    (call $release_and_return (call $result_object) (call $is_error)))

  (func $udp_send (param $self i32) (param $args i32) (param $count i32) (result i32)
    (local $handle i32) (local $timeout i64)
    (if (i32.ne (local.get $count) (i32.const 3)) (then (return (call $bad_argument))))
    (local.set $handle (call $PyLong_AsLong (i32.load (local.get $args))))
    (local.set $timeout (call $timeout (i32.load offset=8 (local.get $args))))
    (if (call $PyErr_Occurred) (then (return (i32.const 0))))
    (if (call $PyObject_GetBuffer (i32.load offset=4 (local.get $args)) (call $relocate (i32.const 120)) (i32.const 0))
      (then (return (i32.const 0))))
    (call $socket.send
      (local.get $handle)
      (i32.load offset=120 (global.get $base))
      (i32.load offset=128 (global.get $base))
      (i64.ge_s (local.get $timeout) (i64.const 0))
      (local.get $timeout)
      (call $relocate (i32.const 168)))
    (call $release_and_return (call $result_object) (call $is_error)))

  (func $udp_send_to (param $self i32) (param $args i32) (param $count i32) (result i32)
    (local $handle i32) (local $port i32) (local $timeout i64) (local $result i32) (local $failed i32)
    (if (i32.ne (local.get $count) (i32.const 5)) (then (return (call $bad_argument))))
    (local.set $handle (call $PyLong_AsLong (i32.load (local.get $args))))
    (local.set $port (call $PyLong_AsLong (i32.load offset=12 (local.get $args))))
    (local.set $timeout (call $timeout (i32.load offset=16 (local.get $args))))
    (if (call $PyErr_Occurred) (then (return (i32.const 0))))
    (if (call $PyObject_GetBuffer (i32.load offset=4 (local.get $args)) (call $relocate (i32.const 120)) (i32.const 0))
      (then (return (i32.const 0))))
    (if (call $PyObject_GetBuffer (i32.load offset=8 (local.get $args)) (call $relocate (i32.const 344)) (i32.const 0))
      (then (return (call $release_and_return (i32.const 0) (i32.const 0)))))
    (call $socket.send-to
      (local.get $handle)
      (i32.load offset=120 (global.get $base))
      (i32.load offset=128 (global.get $base))
      (i32.load offset=344 (global.get $base))
      (i32.load offset=352 (global.get $base))
      (local.get $port)
      (i64.ge_s (local.get $timeout) (i64.const 0))
      (local.get $timeout)
      (call $relocate (i32.const 168)))
    (local.set $result (call $result_object))
    (local.set $failed (call $is_error))
    (call $PyBuffer_Release (call $relocate (i32.const 344)))
    (call $release_and_return (local.get $result) (local.get $failed)))

  (func $tls_feed (param $self i32) (param $args i32) (param $count i32) (result i32)
    (local $handle i32)
    (if (i32.ne (local.get $count) (i32.const 2)) (then (return (call $bad_argument))))
    (local.set $handle (call $PyLong_AsLong (i32.load (local.get $args))))
    (if (call $PyErr_Occurred) (then (return (i32.const 0))))
    (if (call $PyObject_GetBuffer (i32.load offset=4 (local.get $args)) (call $relocate (i32.const 120)) (i32.const 0))
      (then (return (i32.const 0))))
    (call $session.feed
      (local.get $handle)
      (i32.load offset=120 (global.get $base))
      (i32.load offset=128 (global.get $base))
      (call $relocate (i32.const 168)))
    (call $release_and_return (call $result_object) (call $is_error)))

  (func $tls_write (param $self i32) (param $args i32) (param $count i32) (result i32)
    (local $handle i32)
    (if (i32.ne (local.get $count) (i32.const 2)) (then (return (call $bad_argument))))
    (local.set $handle (call $PyLong_AsLong (i32.load (local.get $args))))
    (if (call $PyErr_Occurred) (then (return (i32.const 0))))
    (if (call $PyObject_GetBuffer (i32.load offset=4 (local.get $args)) (call $relocate (i32.const 120)) (i32.const 0))
      (then (return (i32.const 0))))
    (call $session.write
      (local.get $handle)
      (i32.load offset=120 (global.get $base))
      (i32.load offset=128 (global.get $base))
      (call $relocate (i32.const 168)))
    (call $release_and_return (call $result_object) (call $is_error)))

  ;; Gets the buffers of the name and the arguments of a call. Returns whether that failed.
  (func $call_buffers (param $args i32) (param $count i32) (result i32)
    (if (i32.ne (local.get $count) (i32.const 2))
      (then
        (drop (call $bad_argument))
        (return (i32.const 1))))
    (if (call $PyObject_GetBuffer (i32.load (local.get $args)) (call $relocate (i32.const 120)) (i32.const 0))
      (then (return (i32.const 1))))
    (if (call $PyObject_GetBuffer (i32.load offset=4 (local.get $args)) (call $relocate (i32.const 344)) (i32.const 0))
      (then
        (drop (call $release_and_return (i32.const 0) (i32.const 0)))
        (return (i32.const 1))))
    (i32.const 0))

  ;; Releases these buffers, and returns $result.
  (func $release_call (param $result i32) (result i32)
    (call $PyBuffer_Release (call $relocate (i32.const 344)))
    (call $release_and_return (local.get $result) (i32.const 0)))

  (func $call_invoke (param $self i32) (param $args i32) (param $count i32) (result i32)
    (if (call $call_buffers (local.get $args) (local.get $count)) (then (return (i32.const 0))))
    (call $expect_bytes)
    (call $invoke
      (i32.load offset=120 (global.get $base))
      (i32.load offset=128 (global.get $base))
      (i32.load offset=344 (global.get $base))
      (i32.load offset=352 (global.get $base))
      (call $relocate (i32.const 168)))
    (call $release_call (call $take_result)))

  (func $call_start (param $self i32) (param $args i32) (param $count i32) (result i32)
    (local $result i32)
    (if (call $call_buffers (local.get $args) (local.get $count)) (then (return (i32.const 0))))
    (call $call.start
      (i32.load offset=120 (global.get $base))
      (i32.load offset=128 (global.get $base))
      (i32.load offset=344 (global.get $base))
      (i32.load offset=352 (global.get $base))
      (call $relocate (i32.const 168)))
    (local.set $result
      (if (result i32) (call $is_error)
        (then (call $failure_tuple))
        (else (call $PyLong_FromUnsignedLong (i32.load offset=172 (global.get $base))))))
    (call $release_call (local.get $result)))

  (func $call_finish (param $self i32) (param $args i32) (param $count i32) (result i32)
    (local $handle i32) (local $timeout i64)
    (if (i32.ne (local.get $count) (i32.const 2)) (then (return (call $bad_argument))))
    (local.set $handle (call $PyLong_AsLong (i32.load (local.get $args))))
    (local.set $timeout (call $timeout (i32.load offset=4 (local.get $args))))
    (if (call $PyErr_Occurred) (then (return (i32.const 0))))
    (call $expect_bytes)
    (call $call.finish
      (local.get $handle)
      (i64.ge_s (local.get $timeout) (i64.const 0))
      (local.get $timeout)
      (call $relocate (i32.const 168)))
    (call $take_result))

  ;; Returns the bytes of the result at 168, or its `failure` as a tuple.
  (func $take_result (result i32)
    (local $value i32) (local $result i32)
    (if (i32.eqz (call $is_error)) (then (return (call $take_bytes))))
    (i32.store offset=624 (global.get $base) (i32.const 0))
    (local.set $value (i32.load offset=628 (global.get $base)))
    (local.set $result (call $failure_tuple))
    (i32.store offset=628 (global.get $base) (i32.const 0))
    (if (local.get $value) (then (call $Py_DecRef (local.get $value))))
    (local.get $result))

  (func $call_drop (param $self i32) (param $args i32) (param $count i32) (result i32)
    (local $handle i32)
    (if (i32.ne (local.get $count) (i32.const 1)) (then (return (call $bad_argument))))
    (local.set $handle (call $PyLong_AsLong (i32.load (local.get $args))))
    (if (call $PyErr_Occurred) (then (return (i32.const 0))))
    (call $call.drop (local.get $handle))
    (call $PyLong_FromUnsignedLong (i32.const 0)))

  ;; Returns the `failure` of the result at 168 as a tuple.
  (func $failure_tuple (result i32)
    ;; would-block
    (if (i32.eqz (i32.load8_u offset=172 (global.get $base)))
      (then (return (call $PyTuple_New (i32.const 0)))))
    (call $tuple2
      (call $take_either_text (call $relocate (i32.const 176)))
      (call $take_either_text (call $relocate (i32.const 184)))))

  ;; Returns the string whose address and size are at $at, and frees its memory, unless it is that
  ;; of the `bytes` object.
  (func $take_either_text (param $at i32) (result i32)
    (local $text i32) (local $object i32)
    (local.set $text
      (call $PyUnicode_FromStringAndSize (i32.load (local.get $at)) (i32.load offset=4 (local.get $at))))
    (if (i32.eqz (i32.load offset=4 (local.get $at))) (then (return (local.get $text))))
    (local.set $object (i32.load offset=628 (global.get $base)))
    (if (local.get $object)
      (then
        (if (i32.eq (i32.load (local.get $at)) (call $PyBytes_AsString (local.get $object)))
          (then (return (local.get $text))))))
    (call $free (i32.load (local.get $at)))
    (local.get $text))

  ;; Returns whether the result at 168 is an error.
  (func $is_error (result i32)
    (i32.load8_u offset=168 (global.get $base)))

  ;; Releases the buffer, and returns the result or raises the error. Both may run code that calls
  ;; these functions again, so the result is read before.
  (func $release_and_return (param $result i32) (param $failed i32) (result i32)
    (call $PyBuffer_Release (call $relocate (i32.const 120)))
    (if (local.get $failed) (then (return (call $raise (local.get $result)))))
    (local.get $result))

  ;; Raises the error that a tuple names.
  (func $raise (param $error i32) (result i32)
    (if (local.get $error)
      (then
        (drop (call $PyObject_CallOneArg (i32.load offset=632 (global.get $base)) (local.get $error)))
        (call $Py_DecRef (local.get $error))))
    (i32.const 0))

  (func $poll_lists (param $self i32) (param $args i32) (param $count i32) (result i32)
    (local $timeout i64) (local $lists i32) (local $result i32)
    (if (i32.ne (local.get $count) (i32.const 7)) (then (return (call $bad_argument))))
    (local.set $timeout (call $timeout (i32.load offset=24 (local.get $args))))
    (if (call $PyErr_Occurred) (then (return (i32.const 0))))
    (loop $next
      (if (call $PyObject_GetBuffer
            (i32.load (i32.add (local.get $args) (i32.shl (local.get $lists) (i32.const 2))))
            (call $handles_buffer (local.get $lists))
            (i32.const 0))
        (then (return (call $release_handles (local.get $lists) (i32.const 0)))))
      (local.set $lists (i32.add (local.get $lists) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $lists) (i32.const 6))))
    (call $poll
      (call $handles_address (i32.const 0)) (call $handles_count (i32.const 0))
      (call $handles_address (i32.const 1)) (call $handles_count (i32.const 1))
      (call $handles_address (i32.const 2)) (call $handles_count (i32.const 2))
      (call $handles_address (i32.const 3)) (call $handles_count (i32.const 3))
      (call $handles_address (i32.const 4)) (call $handles_count (i32.const 4))
      (call $handles_address (i32.const 5)) (call $handles_count (i32.const 5))
      (i64.ge_s (local.get $timeout) (i64.const 0))
      (local.get $timeout)
      (call $relocate (i32.const 1208)))
    (local.set $result (call $PyTuple_New (i32.const 6)))
    (if (i32.eqz (local.get $result)) (then (return (call $release_handles (i32.const 6) (i32.const 0)))))
    (local.set $lists (i32.const 0))
    (loop $next
      (drop (call $PyTuple_SetItem (local.get $result) (local.get $lists)
        (call $take_positions (i32.add (call $relocate (i32.const 1208)) (i32.shl (local.get $lists) (i32.const 3))))))
      (local.set $lists (i32.add (local.get $lists) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $lists) (i32.const 6))))
    (call $release_handles (i32.const 6) (local.get $result)))

  ;; Returns the address of the Py_buffer of a list of `poll`.
  (func $handles_buffer (param $list i32) (result i32)
    (i32.add (call $relocate (i32.const 920)) (i32.mul (local.get $list) (i32.const 48))))

  ;; Returns the address of its handles. The buffer of an empty array may have any address, and the
  ;; canonical ABI requires alignment even for that.
  (func $handles_address (param $list i32) (result i32)
    (i32.and (i32.load (call $handles_buffer (local.get $list))) (i32.const -4)))

  ;; Returns the number of its handles.
  (func $handles_count (param $list i32) (result i32)
    (i32.shr_u (i32.load offset=8 (call $handles_buffer (local.get $list))) (i32.const 2)))

  ;; Releases the first $count of these buffers and returns $result.
  (func $release_handles (param $count i32) (param $result i32) (result i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (call $PyBuffer_Release (call $handles_buffer (local.get $count)))
        (br $next)))
    (local.get $result))

  ;; Returns the list<u32> whose address and length are at $at as `bytes`, and frees its memory.
  (func $take_positions (param $at i32) (result i32)
    (local $bytes i32)
    (local.set $bytes
      (call $PyBytes_FromStringAndSize
        (i32.load (local.get $at))
        (i32.shl (i32.load offset=4 (local.get $at)) (i32.const 2))))
    (if (i32.load offset=4 (local.get $at)) (then (call $free (i32.load (local.get $at)))))
    (local.get $bytes))

  ;; Allocates memory for the lists and error texts of the canonical ABI. libc's alignment suffices
  ;; for every type of the contract. An empty list gets an address that is never freed: libc would
  ;; allocate memory for it.
  (func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32)
    (result i32)
    (local $new i32)
    (if (i32.eqz (local.get $size)) (then (return (local.get $align))))
    (if (i32.load offset=624 (global.get $base))
      (then
        (i32.store offset=624 (global.get $base) (i32.const 0))
        (local.set $new (call $PyBytes_FromStringAndSize (i32.const 0) (local.get $size)))
        (if (i32.eqz (local.get $new)) (then (unreachable)))
        (i32.store offset=628 (global.get $base) (local.get $new))
        (return (call $PyBytes_AsString (local.get $new)))))
    (local.set $new (call $realloc (local.get $old) (local.get $size)))
    (if (i32.eqz (local.get $new)) (then (unreachable)))
    (local.get $new))

  ;; Raises TypeError.
  (func $bad_argument (result i32)
    (drop (call $PyErr_BadArgument))
    (i32.const 0))

  ;; Returns the result at 168 as a Python object: a number, or a tuple for an error.
  (func $result_object (result i32)
    (local $source i32) (local $case i32)
    (local.set $source (call $relocate (i32.const 168)))
    (if (i32.eqz (i32.load8_u (local.get $source)))
      (then (return (call $PyLong_FromUnsignedLong (i32.load offset=4 (local.get $source))))))
    (local.set $case (i32.load8_u offset=4 (local.get $source)))
    ;; tls
    (if (i32.eq (local.get $case) (i32.const 16))
      (then (return (call $tls_error (i32.add (local.get $source) (i32.const 8))))))
    ;; denied, limit-reached, quota-exceeded, invalid-argument, other
    (if (i32.or
          (i32.lt_u (i32.sub (local.get $case) (i32.const 2)) (i32.const 3))
          (i32.or (i32.eq (local.get $case) (i32.const 15)) (i32.eq (local.get $case) (i32.const 17))))
      (then
        (return
          (call $tuple2 (call $PyLong_FromUnsignedLong (local.get $case))
            (call $take_text (i32.add (local.get $source) (i32.const 8)))))))
    (call $tuple1 (call $PyLong_FromUnsignedLong (local.get $case))))

  ;; Returns the tuple of the tls-error at $at.
  (func $tls_error (param $at i32) (result i32)
    (local $case i32) (local $tuple i32)
    (local.set $case (i32.load8_u (local.get $at)))
    (local.set $tuple (call $PyTuple_New (i32.const 4)))
    (if (i32.eqz (local.get $tuple)) (then (return (i32.const 0))))
    (drop (call $PyTuple_SetItem (local.get $tuple) (i32.const 0) (call $PyLong_FromUnsignedLong (i32.const 16))))
    (drop (call $PyTuple_SetItem (local.get $tuple) (i32.const 1) (call $PyLong_FromUnsignedLong (local.get $case))))
    (drop (call $PyTuple_SetItem (local.get $tuple) (i32.const 2)
      (call $PyLong_FromUnsignedLong
        (select (i32.load offset=4 (local.get $at)) (i32.const 0) (i32.eqz (local.get $case))))))
    (drop (call $PyTuple_SetItem (local.get $tuple) (i32.const 3)
      (if (result i32) (i32.eqz (local.get $case))
        ;; certificate: a code, then the text
        (then (call $take_text (i32.add (local.get $at) (i32.const 8))))
        (else
          (if (result i32) (i32.eq (local.get $case) (i32.const 3))
            ;; unexpected-eof has none
            (then (call $PyUnicode_FromStringAndSize (i32.const 0) (i32.const 0)))
            (else (call $take_text (i32.add (local.get $at) (i32.const 4)))))))))
    (local.get $tuple))

  ;; Returns the string whose address and size are at $at, and frees its memory, unless that is part
  ;; of a `bytes` object.
  (func $take_text (param $at i32) (result i32)
    (local $text i32)
    (local.set $text
      (call $PyUnicode_FromStringAndSize (i32.load (local.get $at)) (i32.load offset=4 (local.get $at))))
    (if (i32.and (i32.eqz (i32.load offset=628 (global.get $base))) (i32.ne (i32.load offset=4 (local.get $at)) (i32.const 0)))
      (then (call $free (i32.load (local.get $at)))))
    (local.get $text))

  (func $tuple1 (param $first i32) (result i32)
    (local $tuple i32)
    (local.set $tuple (call $PyTuple_New (i32.const 1)))
    (if (i32.eqz (local.get $tuple)) (then (return (i32.const 0))))
    (drop (call $PyTuple_SetItem (local.get $tuple) (i32.const 0) (local.get $first)))
    (local.get $tuple))

  (func $tuple2 (param $first i32) (param $second i32) (result i32)
    (local $tuple i32)
    (local.set $tuple (call $PyTuple_New (i32.const 2)))
    (if (i32.eqz (local.get $tuple)) (then (return (i32.const 0))))
    (drop (call $PyTuple_SetItem (local.get $tuple) (i32.const 0) (local.get $first)))
    (drop (call $PyTuple_SetItem (local.get $tuple) (i32.const 1) (local.get $second)))
    (local.get $tuple)))

;; The Python module `_eryx_local_time`: local time in the time zone of the variable TZ.
;;
;; WASI's C library knows UTC alone. The build links every call of its `localtime_r` to the function
;; `eryx_localtime_r` of this module, which adds the offset of the time zone.
;;
;;     set(table, count)   sets the time zone: `bytes` with `count` entries of 16 bytes, ordered by
;;                         time, then the abbreviations; 0 entries for UTC
;;
;; An entry has the time at which it begins (64 bits, seconds since the epoch), the offset from UTC in
;; seconds (32 bits), and the position of its abbreviation in `table`, a string that ends with NUL,
;; shifted by one bit, with 1 for daylight saving time (32 bits). The first entry also applies to
;; earlier times.
(module
  (@dylink.0 (mem-info (memory 176 3) (table 1 0)))

  (import "env" "memory" (memory 0))
  (import "env" "__indirect_function_table" (table 0 funcref))
  (import "env" "__memory_base" (global $base i32))
  (import "env" "__table_base" (global $table i32))

  (import "env" "localtime_r" (func $libc_localtime_r (param i32 i32) (result i32)))
  (import "env" "Py_IncRef" (func $Py_IncRef (param i32)))
  (import "env" "Py_GetConstant" (func $Py_GetConstant (param i32) (result i32)))
  (import "env" "PyTuple_GetItem" (func $PyTuple_GetItem (param i32 i32) (result i32)))
  (import "env" "PyBytes_AsString" (func $PyBytes_AsString (param i32) (result i32)))
  (import "env" "PyLong_AsLong" (func $PyLong_AsLong (param i32) (result i32)))
  (import "env" "PyModule_Create2" (func $PyModule_Create2 (param i32 i32) (result i32)))

  ;; From $base: a PyModuleDef (52 bytes) at 0, names from 56, two PyMethodDef (16 bytes each, the
  ;; last all zero) at 96; the address of the table at 128, the number of its entries at 132; and the
  ;; shifted time at 136.
  (data (global.get $base)
    "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\ff\ff\ff\ff\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (offset (i32.add (global.get $base) (i32.const 56))) "_eryx_local_time\00")
  (data (offset (i32.add (global.get $base) (i32.const 76))) "set\00")

  (elem (global.get $table) func $set)

  ;; Returns the address of the data at this offset from $base.
  (func $relocate (param $offset i32) (result i32)
    (i32.add (global.get $base) (local.get $offset)))

  (func (export "PyInit__eryx_local_time") (result i32)
    ;; ml_name, ml_meth, ml_flags: METH_VARARGS
    (i32.store offset=96 (global.get $base) (call $relocate (i32.const 76)))
    (i32.store offset=100 (global.get $base) (global.get $table))
    (i32.store offset=104 (global.get $base) (i32.const 0x1))
    ;; m_name, m_methods
    (i32.store offset=20 (global.get $base) (call $relocate (i32.const 56)))
    (i32.store offset=32 (global.get $base) (call $relocate (i32.const 96)))
    ;; PYTHON_API_VERSION
    (call $PyModule_Create2 (global.get $base) (i32.const 1013)))

  (func $set (param $self i32) (param $arguments i32) (result i32)
    (local $object i32) (local $text i32) (local $count i32)
    (local.set $object (call $PyTuple_GetItem (local.get $arguments) (i32.const 0)))
    (if (i32.eqz (local.get $object)) (then (return (i32.const 0))))
    (local.set $text (call $PyBytes_AsString (local.get $object)))
    (if (i32.eqz (local.get $text)) (then (return (i32.const 0))))
    (local.set $count (call $PyTuple_GetItem (local.get $arguments) (i32.const 1)))
    (if (i32.eqz (local.get $count)) (then (return (i32.const 0))))
    (local.set $count (call $PyLong_AsLong (local.get $count)))
    (if (i32.lt_s (local.get $count) (i32.const 0)) (then (local.set $count (i32.const 0))))
    ;; The table is never freed: struct_time and the C library keep addresses of abbreviations.
    (call $Py_IncRef (local.get $object))
    (i32.store offset=128 (global.get $base) (local.get $text))
    (i32.store offset=132 (global.get $base) (local.get $count))
    ;; Py_CONSTANT_NONE
    (call $Py_GetConstant (i32.const 0)))

  ;; Returns the address of the entry that applies at a time.
  (func $entry (param $time i64) (result i32)
    (local $first i32) (local $size i32) (local $half i32) (local $middle i32)
    (local.set $first (i32.load offset=128 (global.get $base)))
    (local.set $size (i32.load offset=132 (global.get $base)))
    ;; The entry is one of the `size` from `first` on.
    (block $done
      (loop $next
        (br_if $done (i32.le_u (local.get $size) (i32.const 1)))
        (local.set $half (i32.shr_u (local.get $size) (i32.const 1)))
        (local.set $middle
          (i32.add (local.get $first) (i32.shl (local.get $half) (i32.const 4))))
        (if (i64.lt_s (local.get $time) (i64.load (local.get $middle)))
          (then (local.set $size (local.get $half)))
          (else
            (local.set $first (local.get $middle))
            (local.set $size (i32.sub (local.get $size) (local.get $half)))))
        (br $next)))
    (local.get $first))

  (func (export "eryx_localtime_r") (param $time i32) (param $tm i32) (result i32)
    (local $entry i32) (local $kind i32)
    (if (i32.eqz (i32.load offset=132 (global.get $base)))
      (then (return (call $libc_localtime_r (local.get $time) (local.get $tm)))))
    (local.set $entry (call $entry (i64.load (local.get $time))))
    (i64.store offset=136 (global.get $base)
      (i64.add (i64.load (local.get $time)) (i64.load32_s offset=8 (local.get $entry))))
    (if (i32.eqz (call $libc_localtime_r (call $relocate (i32.const 136)) (local.get $tm)))
      (then (return (i32.const 0))))
    (local.set $kind (i32.load offset=12 (local.get $entry)))
    ;; tm_isdst, tm_gmtoff, tm_zone
    (i32.store offset=32 (local.get $tm) (i32.and (local.get $kind) (i32.const 1)))
    (i32.store offset=36 (local.get $tm) (i32.load offset=8 (local.get $entry)))
    (i32.store offset=40 (local.get $tm)
      (i32.add
        (i32.load offset=128 (global.get $base))
        (i32.shr_u (local.get $kind) (i32.const 1))))
    (local.get $tm)))

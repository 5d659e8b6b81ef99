;; Reads of many bytes, directly into the memory of the caller.
;;
;; libc has the host allocate a list for each `read`, and copies that to the buffer. The build
;; (`eryx-guest-build`, pass `merge_modules`) puts two functions of this module in the place of
;; others:
;;
;;     eryx_file_read     of libc's `read`, for all other modules
;;     eryx_stream_read   of the host's `input-stream.read`, for libc
;;
;; For a read of more bytes than the host returns at once, the first one calls libc's `read`, which
;; calls the second one with the stream of the descriptor. That reads as long as there is room and
;; content; `cabi_realloc` gives the host the caller's buffer in place of a list. libc learns that
;; the stream has ended, so it copies nothing, and its position is set afterwards.
(module
  (@dylink.0 (mem-info (memory 12 2) (table 0 0)))

  (import "env" "memory" (memory 0))
  (import "env" "__memory_base" (global $base i32))

  (import "env" "read" (func $read (param i32 i32 i32) (result i32)))
  (import "env" "lseek" (func $lseek (param i32 i64 i32) (result i64)))
  (import "env" "fcntl" (func $fcntl (param i32 i32 i32) (result i32)))
  (import "env" "malloc" (func $malloc (param i32) (result i32)))
  (import "wasi:io/streams@0.2.9" "[method]input-stream.read"
    (func $stream_read (param i32 i64 i32)))
  (import "wasi:io/error@0.2.9" "[resource-drop]error" (func $drop_error (param i32)))

  ;; From $base: the address of the rest of the caller's buffer at 0, its size at 4 (0: no direct
  ;; read is in progress), how many bytes were read at 8.

  (func (export "eryx_file_read") (param $fd i32) (param $buffer i32) (param $size i32) (result i32)
    (local $result i32) (local $count i32)
    ;; The most that the host returns at once (`MAX_READ` in eryx-core/src/files/stream.rs).
    (if (i32.le_u (local.get $size) (i32.const 0x10000))
      (then (return (call $read (local.get $fd) (local.get $buffer) (local.get $size)))))
    ;; F_GETFL fails: no file.
    (if (i32.lt_s (call $fcntl (local.get $fd) (i32.const 3) (i32.const 0)) (i32.const 0))
      (then (return (call $read (local.get $fd) (local.get $buffer) (local.get $size)))))
    (i32.store (global.get $base) (local.get $buffer))
    (i32.store offset=4 (global.get $base) (local.get $size))
    (i32.store offset=8 (global.get $base) (i32.const 0))
    (local.set $result (call $read (local.get $fd) (local.get $buffer) (local.get $size)))
    (i32.store offset=4 (global.get $base) (i32.const 0))
    (local.set $count (i32.load offset=8 (global.get $base)))
    (if (i32.eqz (local.get $count)) (then (return (local.get $result))))
    ;; SEEK_CUR. The build makes `eryx_lseek` of `native/positions.c` of this. Pitfall: libc's own
    ;; leads to the end of a file that is open for appending.
    (drop (call $lseek (local.get $fd) (i64.extend_i32_u (local.get $count)) (i32.const 1)))
    (local.get $count))

  ;; $result is the address of a result<list<u8>, stream-error>.
  (func (export "eryx_stream_read") (param $stream i32) (param $size i64) (param $result i32)
    (local $count i32)
    (if (i32.eqz (i32.load offset=4 (global.get $base)))
      (then (return (call $stream_read (local.get $stream) (local.get $size) (local.get $result)))))
    (block $done
      (loop $next
        (call $stream_read
          (local.get $stream)
          (i64.extend_i32_u (i32.load offset=4 (global.get $base)))
          (local.get $result))
        (br_if $done (i32.load8_u (local.get $result)))
        (local.set $count (i32.load offset=8 (local.get $result)))
        (br_if $done (i32.eqz (local.get $count)))
        (call $advance (local.get $count))
        (br_if $next (i32.load offset=4 (global.get $base)))))
    (i32.store offset=4 (global.get $base) (i32.const 0))
    ;; Without a byte, the end, the error or the wait is libc's.
    (if (i32.eqz (i32.load offset=8 (global.get $base))) (then (return)))
    ;; An error after some bytes is that of the next read, too.
    (if (i32.and
          (i32.eq (i32.load8_u (local.get $result)) (i32.const 1))
          (i32.eqz (i32.load8_u offset=4 (local.get $result))))
      (then (call $drop_error (i32.load offset=8 (local.get $result)))))
    ;; closed
    (i32.store8 (local.get $result) (i32.const 1))
    (i32.store8 offset=4 (local.get $result) (i32.const 1)))

  (func $advance (param $count i32)
    (i32.store (global.get $base)
      (i32.add (i32.load (global.get $base)) (local.get $count)))
    (i32.store offset=4 (global.get $base)
      (i32.sub (i32.load offset=4 (global.get $base)) (local.get $count)))
    (i32.store offset=8 (global.get $base)
      (i32.add (i32.load offset=8 (global.get $base)) (local.get $count))))

  (func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32)
    (result i32)
    (local $new i32)
    (if (i32.eqz (local.get $size)) (then (return (local.get $align))))
    (local.set $new (i32.load offset=4 (global.get $base)))
    (if (local.get $new)
      (then
        ;; The host returns no more than it was asked for.
        (if (i32.gt_u (local.get $size) (local.get $new)) (then (unreachable)))
        (return (i32.load (global.get $base)))))
    (local.set $new (call $malloc (local.get $size)))
    (if (i32.eqz (local.get $new)) (then (unreachable)))
    (local.get $new)))

;; The permissions and blocks in the results of stat(2), lstat(2), fstat(2) and fstatat(2).
;;
;; WASI has no permissions, so libc's results have none: archives that programs write would have
;; files that no user can read. The build links every call of these functions of libc to the function
;; with the prefix `eryx_` of this module, which adds what a umask of 077 leaves: 0600 for files, and
;; 0700 for directories. It also adds the blocks of a file on Linux, of 4096 bytes each, from which
;; programs calculate the space that files use. An empty path leads nowhere, as in `native/paths.c`.
(module
  (@dylink.0 (mem-info (memory 0 0) (table 0 0)))

  (import "env" "memory" (memory 0))
  ;; The address of the error number.
  (import "GOT.mem" "errno" (global $errno (mut i32)))
  (import "env" "stat" (func $stat (param i32 i32) (result i32)))
  (import "env" "lstat" (func $lstat (param i32 i32) (result i32)))
  (import "env" "fstat" (func $fstat (param i32 i32) (result i32)))
  (import "env" "fstatat" (func $fstatat (param i32 i32 i32 i32) (result i32)))

  (func (export "eryx_stat") (param $path i32) (param $stat i32) (result i32)
    (if (call $is_empty (local.get $path)) (then (return (i32.const -1))))
    (call $add (local.get $stat) (call $stat (local.get $path) (local.get $stat))))

  (func (export "eryx_lstat") (param $path i32) (param $stat i32) (result i32)
    (if (call $is_empty (local.get $path)) (then (return (i32.const -1))))
    (call $add (local.get $stat) (call $lstat (local.get $path) (local.get $stat))))

  (func (export "eryx_fstat") (param $fd i32) (param $stat i32) (result i32)
    (call $add (local.get $stat) (call $fstat (local.get $fd) (local.get $stat))))

  (func (export "eryx_fstatat")
    (param $fd i32) (param $path i32) (param $stat i32) (param $flags i32) (result i32)
    (if (call $is_empty (local.get $path)) (then (return (i32.const -1))))
    (call $add
      (local.get $stat)
      (call $fstatat
        (local.get $fd) (local.get $path) (local.get $stat) (local.get $flags))))

  ;; Returns whether a path is empty, and sets the error number to ENOENT if it is.
  (func $is_empty (param $path i32) (result i32)
    (if (i32.load8_u (local.get $path)) (then (return (i32.const 0))))
    (i32.store (global.get $errno) (i32.const 44))
    (i32.const 1))

  ;; Adds the permissions to st_mode, at 24 in struct stat, and sets st_blksize, at 56, and st_blocks,
  ;; at 64, by st_size, at 48, unless $result is that of an error.
  (func $add (param $stat i32) (param $result i32) (result i32)
    (local $mode i32)
    (if (i32.eqz (local.get $result))
      (then
        (local.set $mode (i32.load offset=24 (local.get $stat)))
        (i32.store offset=24 (local.get $stat)
          (i32.or (local.get $mode) (call $permissions (local.get $mode))))
        (i32.store offset=56 (local.get $stat) (i32.const 4096))
        ;; The unit of st_blocks is 512 bytes.
        (i64.store offset=64 (local.get $stat)
          (i64.shl
            (i64.shr_u
              (i64.add (i64.load offset=48 (local.get $stat)) (i64.const 4095))
              (i64.const 12))
            (i64.const 3)))))
    (local.get $result))

  ;; Returns the permissions of a file of the type in $mode.
  (func $permissions (param $mode i32) (result i32)
    (local.set $mode (i32.and (local.get $mode) (i32.const 0xf000)))
    ;; S_IFREG: 0600; S_IFDIR: 0700; S_IFCHR: 0666; links and all else: 0777
    (if (i32.eq (local.get $mode) (i32.const 0x8000)) (then (return (i32.const 0x180))))
    (if (i32.eq (local.get $mode) (i32.const 0x4000)) (then (return (i32.const 0x1c0))))
    (if (i32.eq (local.get $mode) (i32.const 0x2000)) (then (return (i32.const 0x1b6))))
    (i32.const 0x1ff)))

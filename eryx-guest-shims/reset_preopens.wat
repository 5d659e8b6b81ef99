;; Exports `reset-preopens`, which makes libc forget the directory handles it has cached.
;;
;; A handle is valid only in the instance that opened it. The host calls `reset-preopens` before it
;; takes a snapshot of an instance that has read a packages directory, so that instances started
;; from the snapshot open their directories anew. Python cannot call this function of libc's.
(module
  (@dylink.0 (mem-info (memory 0 0) (table 0 0)))
  (import "env" "__wasilibc_reset_preopens" (func $reset))
  (func (export "reset-preopens") (call $reset)))

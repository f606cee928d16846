/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec.h - numbers of the NVMe specifications, each group naming where it is defined
 *
 * "Base" is the NVM Express Base Specification 2.3, "Base 2.4" what TP4193 added to it, "NVM" the
 * NVM Command Set Specification. Numbers only: what is not settled by a specification is in
 * assumptions.h. Bit fields are given as shift and, where it is not obvious, mask after shifting.
 */
#ifndef EXP_NVME_SPEC_H
#define EXP_NVME_SPEC_H

#define EXP_NVME_PAGE          4096u /* bytes of an Identify or list page, and of CC.MPS = 0 */
#define EXP_NVME_SQE_BYTES     64u
#define EXP_NVME_CQE_BYTES     16u
#define EXP_NVME_NSID_ALL      0xffffffffu
#define EXP_NVME_CTRL_LIST_MAX 2047u   /* ids in a Controller List (Base 4.6.1) */
#define EXP_NVME_NS_LIST_MAX   1024u   /* ids in a Namespace List (Base 4.6.2) */
#define EXP_NVME_CNTLID_MAX    0xffefu /* FFF0h and up are reserved (Base 3.1.3) */

/* Controller registers, byte offsets in BAR0 (Base 3.1.4) */
enum {
	EXP_NVME_REG_CAP = 0x00, /* 8 bytes */
	EXP_NVME_REG_VS = 0x08,
	EXP_NVME_REG_INTMS = 0x0c,
	EXP_NVME_REG_INTMC = 0x10,
	EXP_NVME_REG_CC = 0x14,
	EXP_NVME_REG_CSTS = 0x1c,
	EXP_NVME_REG_AQA = 0x24,
	EXP_NVME_REG_ASQ = 0x28, /* 8 bytes */
	EXP_NVME_REG_ACQ = 0x30, /* 8 bytes */
	EXP_NVME_REG_DOORBELLS = 0x1000,
};

/* Controller Configuration and Status (Base 3.1.4.5, 3.1.4.6) */
enum {
	EXP_NVME_CC_EN = 1 << 0,
	EXP_NVME_CC_CSS_SHIFT = 4,
	EXP_NVME_CC_MPS_SHIFT = 7,
	EXP_NVME_CC_AMS_SHIFT = 11,
	EXP_NVME_CC_SHN_SHIFT = 14,
	EXP_NVME_CC_IOSQES_SHIFT = 16,
	EXP_NVME_CC_IOCQES_SHIFT = 20,
	EXP_NVME_CSTS_RDY = 1 << 0,
	EXP_NVME_CSTS_CFS = 1 << 1,
	EXP_NVME_CSTS_SHST_SHIFT = 2,
};

/* Admin opcodes (Base 5.1, Base 2.4 for the names of 2Ah and 2Dh) */
enum exp_nvme_admin_opcode {
	EXP_NVME_ADMIN_DELETE_SQ = 0x00,
	EXP_NVME_ADMIN_CREATE_SQ = 0x01,
	EXP_NVME_ADMIN_GET_LOG_PAGE = 0x02,
	EXP_NVME_ADMIN_DELETE_CQ = 0x04,
	EXP_NVME_ADMIN_CREATE_CQ = 0x05,
	EXP_NVME_ADMIN_IDENTIFY = 0x06,
	EXP_NVME_ADMIN_SET_FEATURES = 0x09,
	EXP_NVME_ADMIN_GET_FEATURES = 0x0a,
	EXP_NVME_ADMIN_ASYNC_EVENT = 0x0c,
	EXP_NVME_ADMIN_NS_MGMT = 0x0d,
	EXP_NVME_ADMIN_NS_ATTACH = 0x15,
	EXP_NVME_ADMIN_CLEAR_EXPORTED = 0x28,
	EXP_NVME_ADMIN_EXPORT_RECV = 0x2a, /* Manage Exported NVM Subsystem Receive */
	EXP_NVME_ADMIN_EXPORT_SEND = 0x2d, /* Manage Exported NVM Subsystem Send */
	EXP_NVME_ADMIN_EXPORT_NS = 0x31,   /* Manage Exported Namespace */
	EXP_NVME_ADMIN_EXPORT_PORT = 0x35,
	EXP_NVME_ADMIN_TRACK_SEND = 0x3d,
	EXP_NVME_ADMIN_TRACK_RECV = 0x3e,
	EXP_NVME_ADMIN_MIGRATION_SEND = 0x41,
	EXP_NVME_ADMIN_MIGRATION_RECV = 0x42,
	EXP_NVME_ADMIN_CDQ = 0x45, /* Controller Data Queue */
	EXP_NVME_ADMIN_GET_LBA_STATUS = 0x86,
};

/* I/O opcodes (Base 7, NVM 3.3) */
enum exp_nvme_io_opcode {
	EXP_NVME_IO_FLUSH = 0x00,
	EXP_NVME_IO_WRITE = 0x01,
	EXP_NVME_IO_READ = 0x02,
	EXP_NVME_IO_WRITE_ZEROES = 0x08,
	EXP_NVME_IO_DSM = 0x09,
};

/* Identify, CNS values (Base 5.2.13; 21h and 22h: Base 2.4) */
enum exp_nvme_cns {
	EXP_NVME_CNS_NS = 0x00,
	EXP_NVME_CNS_CTRL = 0x01,
	EXP_NVME_CNS_NS_LIST = 0x02, /* active, ids above CDW1.NSID */
	EXP_NVME_CNS_NS_DESCS = 0x03,
	EXP_NVME_CNS_NS_NVM = 0x05,   /* Identify Namespace of the NVM command set */
	EXP_NVME_CNS_CTRL_NVM = 0x06, /* Identify Controller of the NVM command set */
	EXP_NVME_CNS_ALLOC_NS_LIST = 0x10,
	EXP_NVME_CNS_ALLOC_NS = 0x11,
	EXP_NVME_CNS_NS_CTRL_LIST = 0x12, /* controllers attached to CDW1.NSID */
	EXP_NVME_CNS_CTRL_LIST = 0x13,    /* controllers of the subsystem */
	EXP_NVME_CNS_UUID_LIST = 0x17,
	EXP_NVME_CNS_STATE_FORMATS = 0x20, /* Supported Controller State Formats */
	EXP_NVME_CNS_UNDERLYING_CTRLS = 0x21,
	EXP_NVME_CNS_TEMPLATES = 0x22, /* Exported NVM Subsystem Template UUID List */
};

/* Namespace identification descriptor types (Base 5.2.13.2.3) */
enum exp_nvme_nidt {
	EXP_NVME_NIDT_EUI64 = 1,
	EXP_NVME_NIDT_NGUID = 2,
	EXP_NVME_NIDT_UUID = 3,
	EXP_NVME_NIDT_CSI = 4,
};

/* Identify Controller, bits (Base 5.2.13.2.1; ENSA, ENDSFS: Base 2.4) */
enum {
	EXP_NVME_OACS_NS_MGMT = 1 << 3,
	EXP_NVME_OACS_VIRT_MGMT = 1 << 7,
	EXP_NVME_OACS_DBBUF = 1 << 8,
	EXP_NVME_OACS_LBA_STATUS = 1 << 9,
	EXP_NVME_OACS_HMLMS = 1 << 11, /* it is a Migration Management Controller */
	EXP_NVME_CTRATT_UUID_LIST = 1 << 9,
	EXP_NVME_CTRATT_MEM = 1 << 16, /* MDTS excludes metadata */
	EXP_NVME_OAES_ATTACHED_NS = 1 << 8,
	EXP_NVME_OAES_ALLOCATED_NS = 1 << 19,
	EXP_NVME_ONCS_DSM = 1 << 2,
	EXP_NVME_ONCS_WRITE_ZEROES = 1 << 3,
	EXP_NVME_VWC_PRESENT = 1 << 0,
	EXP_NVME_ENSA_TEMPLATE = 1 << 0, /* ENSTS */
	EXP_NVME_ENSA_MIGRATE = 1 << 1,  /* ENSMS */
	EXP_NVME_ENDSFS_ENF0 = 1 << 0,
	EXP_NVME_ENDSFS_ENF1 = 1 << 1,
	EXP_NVME_TRATTR_MEMORY = 1 << 0,    /* THMCS */
	EXP_NVME_TRATTR_USER_DATA = 1 << 1, /* TUDCS */
	EXP_NVME_AOCS_RALBAS = 1 << 0,      /* CNS 06h: allocated LBAs can be reported */
};

enum exp_nvme_cntrltype { /* Base 5.2.13.2.1, byte 111 */
			  EXP_NVME_CNTRLTYPE_NONE = 0,
			  EXP_NVME_CNTRLTYPE_IO = 1,
			  EXP_NVME_CNTRLTYPE_DISCOVERY = 2,
			  EXP_NVME_CNTRLTYPE_ADMIN = 3,
};

/* Identify Namespace, bits (NVM 4.1.5.1) */
enum {
	EXP_NVME_NMIC_SHARED = 1 << 0,
	EXP_NVME_NSATTR_WRITE_PROTECTED = 1 << 0,
	EXP_NVME_DLFEAT_READ_MASK = 7,  /* what a deallocated block reads as */
	EXP_NVME_DLFEAT_READ_ZERO = 1,  /* all 00h */
	EXP_NVME_DLFEAT_WZ_DEALLOC = 8, /* Write Zeroes may deallocate (DEAC) */
};

/* Log identifiers (Base 5.2.12) */
enum exp_nvme_lid {
	EXP_NVME_LID_ERROR = 0x01,
	EXP_NVME_LID_SMART = 0x02,
	EXP_NVME_LID_CHANGED_NS = 0x04, /* Changed Attached Namespace List */
	EXP_NVME_LID_EFFECTS = 0x05,    /* Commands Supported and Effects */
	EXP_NVME_LID_CHANGED_ALLOC_NS = 0x1c,
};

/* Feature identifiers (Base 5.2.26) */
enum exp_nvme_fid {
	EXP_NVME_FID_ARBITRATION = 0x01,
	EXP_NVME_FID_TEMP_THRESHOLD = 0x04,
	EXP_NVME_FID_VOLATILE_WC = 0x06,
	EXP_NVME_FID_NUM_QUEUES = 0x07,
	EXP_NVME_FID_IRQ_COALESCE = 0x08,
	EXP_NVME_FID_IRQ_CONFIG = 0x09,
	EXP_NVME_FID_ASYNC_EVENT = 0x0b,
	EXP_NVME_FID_CDQ = 0x21, /* Controller Data Queue */
};

/* Asynchronous events (Base 5.2.2) */
enum exp_nvme_event_type {
	EXP_NVME_EVENT_ERROR = 0,
	EXP_NVME_EVENT_HEALTH = 1,
	EXP_NVME_EVENT_NOTICE = 2,
	EXP_NVME_EVENT_IMMEDIATE = 3,
	EXP_NVME_EVENT_ONE_SHOT = 4,
	EXP_NVME_EVENT_IO_SPECIFIC = 6,
	EXP_NVME_EVENT_VENDOR = 7,
};
enum {
	EXP_NVME_NOTICE_ATTACHED_NS = 0x00,
	EXP_NVME_NOTICE_ALLOCATED_NS = 0x09,
};

/* Select fields of the multiplexed commands */
enum exp_nvme_ns_mgmt_sel { /* Base 5.2.21 */
			    EXP_NVME_NS_CREATE = 0,
			    EXP_NVME_NS_DELETE = 1,
};
enum exp_nvme_ns_attach_sel { /* Base 5.2.20 */
			      EXP_NVME_NS_ATTACH = 0,
			      EXP_NVME_NS_DETACH = 1,
};
enum exp_nvme_export_recv_sel { /* Base 2.4, Manage Exported NVM Subsystem Receive */
				EXP_NVME_EXPORT_CREATE = 0,
				EXP_NVME_EXPORT_LIST_SUBSYS = 1,
				EXP_NVME_EXPORT_LIST_NS = 2,
				EXP_NVME_EXPORT_LIST_CTRLS = 3,
				EXP_NVME_EXPORT_LIST_PORTS = 4,
				EXP_NVME_EXPORT_GET_CONFIG = 5,
};
enum exp_nvme_export_send_sel { /* Base 2.4, Manage Exported NVM Subsystem Send */
				EXP_NVME_EXPORT_DELETE = 1,
				EXP_NVME_EXPORT_ASSOCIATE_CTRLS = 5,
				EXP_NVME_EXPORT_SET_CONFIG = 6,
};
enum exp_nvme_export_ns_sel { /* Base 5.4.8 */
			      EXP_NVME_EXPORT_NS_ASSOCIATE = 1,
			      EXP_NVME_EXPORT_NS_DISASSOCIATE = 2,
};
enum exp_nvme_migration_send_sel { /* Base 5.2.17 */
				   EXP_NVME_MIG_SUSPEND = 0,
				   EXP_NVME_MIG_RESUME = 1,
				   EXP_NVME_MIG_SET_STATE = 2,
};
enum exp_nvme_cdq_sel { /* Base 5.2.4 */
			EXP_NVME_CDQ_CREATE = 0,
			EXP_NVME_CDQ_DELETE = 1,
};
enum exp_nvme_atype { /* Get LBA Status, NVM 1.3 4.2.1 */
		      EXP_NVME_ATYPE_ALLOCATED = 0x02,
		      EXP_NVME_ATYPE_SCAN = 0x10,
		      EXP_NVME_ATYPE_TRACKED = 0x11,
};

/* A status as it is kept everywhere: SCT in bits 10:8, SC in 7:0 (Base 4.2.3) */
#define EXP_NVME_SC(sct, sc) ((uint16_t)((sct) << 8 | (sc)))

/* The values that this program branches on; status.c has the names of all (Base 4.2.3.1, .2) */
enum exp_nvme_status_value {
	EXP_NVME_SC_SUCCESS = 0x000,
	EXP_NVME_SC_INVALID_OPCODE = 0x001,
	EXP_NVME_SC_INVALID_FIELD = 0x002,
	EXP_NVME_SC_ABORTED_SQ_DELETED = 0x008,
	EXP_NVME_SC_INVALID_NS = 0x00b,
	EXP_NVME_SC_SEQUENCE = 0x00c,
	EXP_NVME_SC_PRP_OFFSET = 0x013,
	EXP_NVME_SC_LBA_RANGE = 0x080,
	EXP_NVME_SC_NS_NO_CAPACITY = 0x115,
	EXP_NVME_SC_NSID_UNAVAILABLE = 0x116,
	EXP_NVME_SC_NS_ALREADY_ATTACHED = 0x118,
	EXP_NVME_SC_NS_PRIVATE = 0x119,
	EXP_NVME_SC_NS_NOT_ATTACHED = 0x11a,
	EXP_NVME_SC_INVALID_CNTLID = 0x11f,
	EXP_NVME_SC_INVALID_HOST = 0x135,
	EXP_NVME_SC_INVALID_SUBSYS = 0x136,
	EXP_NVME_SC_INVALID_CDQ = 0x137,
	EXP_NVME_SC_NO_RESOURCES = 0x138,
	EXP_NVME_SC_CTRL_SUSPENDED = 0x139,
	EXP_NVME_SC_CTRL_NOT_SUSPENDED = 0x13a,
	EXP_NVME_SC_CDQ_FULL = 0x13b,
	EXP_NVME_SC_CTRL_ACTIVE = 0x142,          /* Base 2.4 */
	EXP_NVME_SC_INVALID_ASSOCIATION = 0x143,  /* Base 2.4 */
	EXP_NVME_SC_INVALID_CONFIG_STATE = 0x144, /* Base 2.4 */
};

#endif

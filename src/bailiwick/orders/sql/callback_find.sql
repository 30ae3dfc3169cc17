-- Whether a callback was carried out before. $1: gateway, $2: notice.
SELECT notice FROM callback WHERE gateway = $1 AND notice = $2

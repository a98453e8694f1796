-- Each request comes with the session of the next person. Arguments of the script: the cookies.
local cookies, next_one = {}, 0

function init(arguments)
  cookies = arguments
end

function request()
  next_one = next_one % #cookies + 1
  return wrk.format("GET", nil, { cookie = cookies[next_one] })
end
